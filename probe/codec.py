"""Records as bytes: encoding, strict bounded decoding, batches, and the bytes that are signed.

Everything that comes in is hostile: a batch is bounded before it is inflated and while it is, a
line is bounded before it is parsed, and a bad line never costs its neighbours.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from probe.model import Record

BATCH_TYPE = "application/vnd.qazprobe.v1+gzip"
LINE_LIMIT = 512 * 1024
BATCH_LIMIT = 64 * 1024 * 1024
BATCH_RECORDS = 500

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class WireError(ValueError):
    """Bytes that are no record or no batch; the message says what was expected."""


def encode(record: msgspec.Struct) -> bytes:
    """One line of JSON, without its newline."""
    return _encoder.encode(record)


def decode(line: bytes) -> Record:
    """Read one record; raise `WireError` naming the field that is wrong."""
    if len(line) > LINE_LIMIT:
        raise WireError(f"record of {len(line)} bytes; at most {LINE_LIMIT} are taken")
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise WireError(str(error) or type(error).__name__) from error


def pack(lines: Iterable[bytes]) -> bytes:
    """Gzip encoded records into one batch."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    parts = [packer.compress(line + b"\n") for line in lines]
    return b"".join([*parts, packer.flush()])


def unpack(batch: bytes, *, limit: int = BATCH_LIMIT) -> Iterator[bytes]:
    """Give back the lines of a batch; raise `WireError` on garbage or past `limit` bytes."""
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        data = inflater.decompress(batch, limit + 1)
    except zlib.error as error:
        raise WireError("batch is not gzip") from error
    if len(data) > limit or inflater.unconsumed_tail:
        raise WireError(f"batch inflates to more than {limit} bytes")
    if not inflater.eof:
        raise WireError("batch is cut short")
    if inflater.unused_data:
        raise WireError("batch goes on after its end")
    return _lines(data)


def _lines(data: bytes) -> Iterator[bytes]:
    """One line after the other: a batch of nothing but newlines makes no list of millions."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end > start:
            yield data[start:end]
        start = end + 1


def key_id(public_key: bytes) -> str:
    """The short public name of a key: the first 16 bytes of its SHA-256, in hex."""
    return hashlib.sha256(public_key).hexdigest()[:32]


def signed_bytes(collector_id: str, method: str, path: str, created: str, body: bytes) -> bytes:
    """What an enrolled key signs for one request.

    `path` includes the query string. `created` is Unix time in whole seconds, as in `Qaz-Created`.
    The body counts as sent, so that it is verified before anything of it is inflated or parsed.
    """
    digest = hashlib.sha512(body).hexdigest()
    fields = ("qazprobe-request-v1", collector_id, method, path, created, digest)
    return "\n".join(fields).encode()


def enrol_bytes(public_key: bytes, invite: str | None, role: str) -> bytes:
    """What a new key signs to show that it is there."""
    return "\n".join(("qazprobe-enrol-v1", public_key.hex(), invite or "", role)).encode()
