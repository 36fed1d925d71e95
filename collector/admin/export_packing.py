"""Compression of an export while it is written: gzip or Zstandard, in bounded memory."""

import sys
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, NamedTuple

Packing = Literal["none", "gzip", "zstd"]
SUFFIXES: dict[str, Packing] = {".gz": "gzip", ".zst": "zstd"}
# Level 3 of Zstandard is smaller and several times faster than level 6 of gzip.
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3


class Packer(NamedTuple):
    """What packs pieces as they come, and gives the rest at the end."""

    pack: Callable[[bytes], bytes]
    end: Callable[[], bytes]


def packer(packing: Packing) -> Packer:
    """A packer for one file.

    Raises:
        ModuleNotFoundError: Zstandard is not installed.
    """
    if packing == "gzip":
        gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        return Packer(gzip.compress, gzip.flush)
    if packing == "zstd":
        packed = zstd().ZstdCompressor(level=_ZSTD_LEVEL)
        return Packer(packed.compress, packed.flush)
    return Packer(lambda piece: piece, lambda: b"")


async def packed(pieces: AsyncIterator[bytes], packing: Packing) -> AsyncIterator[bytes]:
    """The pieces of a file, compressed."""
    by = packer(packing)
    async for piece in pieces:
        if made := by.pack(piece):
            yield made
    if rest := by.end():
        yield rest


def by_name(name: str) -> Packing:
    """The packing that a file's name says."""
    return next((packing for end, packing in SUFFIXES.items() if name.endswith(end)), "none")


def zstd() -> Any:
    """The module for Zstandard: in Python from 3.14 on, a library of the same interface before."""
    if sys.version_info >= (3, 14):
        from compression import zstd as module
    else:
        from backports import zstd as module
    return module
