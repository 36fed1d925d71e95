"""GET /v1/export: the selected records as one file, made in a process of its own."""

from collections.abc import Mapping
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Literal

from aiohttp import web

from collector.admin import export_process
from collector.admin.export import TYPES, Exported, Format
from collector.admin.export_packing import Packing
from collector.admin.export_process import ExportJob
from collector.api import negotiation, parameters, readers
from collector.api.http import stream
from collector.api.made_files import file_headers, give_parquet, pieces
from collector.api.parameters import SelectionParameters
from collector.child_process import child
from collector.service import SERVICE, Service
from collector.store.exports import PUBLIC

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
    suffix = _SUFFIX[asked.compress]
    type_ = "application/octet-stream" if suffix else TYPES[wanted.format]
    headers = file_headers(request, f"measurements.{wanted.format}{suffix}", type_)
    if coding is not None:
        headers["Content-Encoding"] = coding
    if request.method == "HEAD":
        return web.Response(headers=headers)
    job = ExportJob(store=service.settings.store, wanted=wanted, packing=packing)
    async with child(export_process.__name__, job) as process:
        return await stream(request, headers, pieces(service, process))


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


async def _parquet(request: web.Request, service: Service, wanted: Exported) -> web.StreamResponse:
    """A file whose parts can be asked for."""

    def job(path: str) -> ExportJob:
        return ExportJob(store=service.settings.store, wanted=wanted, file=path)

    asked = (*astuple(wanted.selection), wanted.release, wanted.least)
    module = export_process.__name__
    return await give_parquet(request, service, asked, name="measurements", module=module, job=job)
