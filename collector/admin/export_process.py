"""An export in a process of its own: its bytes go to the standard output as they are made."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from collector.admin import export
from collector.admin.export import ExportTally, Format
from collector.child_process import take_job
from collector.store import Store, StoreError, open_store
from collector.store.queries import Selection

CHUNK = 64 * 1024
# What the exit code says; the number of unreadable records is on the standard error.
DONE, NO_PARQUET, NO_STORE = 0, 3, 4


class ExportJob(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are wanted from which store, and how."""

    store: str
    selection: Selection
    format: Format


def main() -> int:
    """Export what the job on the standard input asks for."""
    job, tally = take_job(ExportJob), ExportTally()
    try:
        asyncio.run(_export(job, tally))
    except ModuleNotFoundError:
        return NO_PARQUET
    except StoreError:
        return NO_STORE
    except BrokenPipeError:
        # Nothing is left to be flushed at exit.
        os._exit(1)
    sys.stderr.write(str(tally.unreadable))
    return DONE


async def _export(job: ExportJob, tally: ExportTally) -> None:
    store = await open_store(job.store)
    try:
        if job.format == "parquet":
            await _write_parquet(store, job.selection)
            return
        async for piece in export.lines(store, job.selection, job.format, tally):
            _write(piece)
    finally:
        await store.close()


async def _write_parquet(store: Store, selection: Selection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measurements.parquet"
        await export.parquet(store, selection, path)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                _write(chunk)


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
