"""Files that processes beside the collector make, and give as they are made or in parts.

Rule: a process says at its end that this was all; what ends otherwise is no file.
"""

from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Hashable
from pathlib import Path
from weakref import WeakKeyDictionary

import msgspec
from aiohttp import web

from collector.admin import export_process
from collector.admin.export_process import CHUNK
from collector.api import negotiation
from collector.api.export_files import ExportFiles
from collector.api.http import Refused
from collector.child_process import child
from collector.service import Service
from collector.store import StoreUnavailable

_files: WeakKeyDictionary[Service, ExportFiles] = WeakKeyDictionary()


async def give_parquet(
    request: web.Request,
    service: Service,
    asked: Hashable,
    *,
    name: str,
    module: str,
    job: Callable[[str], msgspec.Struct],
) -> web.StreamResponse:
    """A Parquet file whose parts can be asked for, made by a module with a job for a path."""

    async def make(path: Path) -> None:
        async with child(module, job(str(path))) as process:
            async for _ in pieces(service, process):
                raise RuntimeError("a process that makes a file wrote something else")

    files = _files.setdefault(service, ExportFiles())
    path = await files.get((module, asked), make)
    headers = file_headers(request, f"{name}.parquet", negotiation.MEDIA["parquet"])
    return web.FileResponse(path, chunk_size=CHUNK, headers=headers)


def file_headers(request: web.Request, name: str, type_: str) -> dict[str, str]:
    """The headers of a file to be kept under a name."""
    return {
        "Content-Type": type_,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vary": negotiation.VARY,
        "Cache-Control": negotiation.cache_control(request),
    }


async def pieces(service: Service, process: Process) -> AsyncIterator[bytes]:
    """What the process writes; an error if it does not say at its end that this was all."""
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the process has no pipes")
    while piece := await process.stdout.read(CHUNK):
        yield piece
    said = await process.stderr.read(CHUNK)
    code = await process.wait()
    if code == export_process.NOT_INSTALLED:
        message = "this format is not offered here: it needs qazprobe[analytics]"
        raise Refused(501, "no_parquet", message)
    if code == export_process.NO_STORE:
        raise StoreUnavailable("store could not be read for an export")
    if code != export_process.DONE:
        raise RuntimeError(f"an export failed: {said[-500:].decode('utf-8', 'replace')}")
    service.instruments.unreadable.inc(int(said or b"0"))
