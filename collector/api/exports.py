"""GET /v1/export: the selected records as one file, made in a process of its own."""

from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from aiohttp import web

from collector.admin import export_process
from collector.admin.export import TYPES, Exported, Format
from collector.admin.export_packing import Packing
from collector.admin.export_process import CHUNK, ExportJob
from collector.api import negotiation, parameters, readers
from collector.api.export_files import ExportFiles
from collector.api.http import Refused, stream
from collector.api.parameters import SelectionParameters
from collector.child_process import child
from collector.service import SERVICE, Service
from collector.store import StoreUnavailable
from collector.store.exports import PUBLIC

_files: WeakKeyDictionary[Service, ExportFiles] = WeakKeyDictionary()
_FORMATS: Mapping[str, Format] = {"jsonl": "jsonl", "csv": "csv", "parquet": "parquet"}
_CODINGS: Mapping[str, Packing] = {"gzip": "gzip", "zstd": "zstd"}
_SUFFIX: Mapping[Packing, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}


class ExportParameters(SelectionParameters, frozen=True, kw_only=True):
    """Which records are wanted, and how. `compress` makes a compressed file."""

    format: Format | None = None
    compress: Literal["none", "gzip", "zstd"] = "none"


async def get_export(request: web.Request) -> web.StreamResponse:
    """The selected records, oldest first, as one file."""
    service, asked = request.app[SERVICE], parameters.of(request, ExportParameters)
    wanted = _wanted(request, service, asked)
    if wanted.format == "parquet":
        return await _parquet(request, service, wanted)
    coding = negotiation.coding(request) if asked.compress == "none" else None
    packing = asked.compress if coding is None else _CODINGS[coding]
    headers = _headers(request, wanted.format, _SUFFIX[asked.compress])
    if coding is not None:
        headers["Content-Encoding"] = coding
    if request.method == "HEAD":
        return web.Response(headers=headers)
    job = ExportJob(store=service.settings.store, wanted=wanted, packing=packing)
    async with child(export_process.__name__, job) as process:
        return await stream(request, headers, _pieces(service, process))


def _wanted(request: web.Request, service: Service, asked: ExportParameters) -> Exported:
    """What this reader gets. The pseudonyms of keys are the same for a month."""
    least, now = readers.least_probes(request), service.clock()
    month = datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
    return Exported(
        selection=asked.selection(),
        format=_FORMATS[negotiation.chosen(request, asked.format, list(_FORMATS))],
        release=f"{PUBLIC}{month}" if least > 1 else f"api.{month}",
        least=least,
        now=now,
        lab=service.settings.lab,
    )


def _headers(request: web.Request, format_: Format, suffix: str) -> dict[str, str]:
    return {
        "Content-Type": TYPES[format_] if not suffix else "application/octet-stream",
        "Content-Disposition": f'attachment; filename="measurements.{format_}{suffix}"',
        "Vary": negotiation.VARY,
        "Cache-Control": negotiation.cache_control(request),
    }


async def _parquet(request: web.Request, service: Service, wanted: Exported) -> web.StreamResponse:
    """A file whose parts can be asked for."""

    async def make(path: Path) -> None:
        job = ExportJob(store=service.settings.store, wanted=wanted, file=str(path))
        async with child(export_process.__name__, job) as process:
            async for _ in _pieces(service, process):
                raise RuntimeError("an export to a file wrote something else")

    files = _files.setdefault(service, ExportFiles())
    asked = (*astuple(wanted.selection), wanted.release, wanted.least)
    path = await files.get(asked, make)
    return web.FileResponse(path, chunk_size=CHUNK, headers=_headers(request, "parquet", ""))


async def _pieces(service: Service, process: Process) -> AsyncIterator[bytes]:
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
