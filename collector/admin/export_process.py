"""An export in a process of its own: its bytes go to the standard output as they are made.

Parquet goes to a file instead, because its readers ask for its end first.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from collector.admin import export
from collector.admin.export import Exported, ExportTally
from collector.admin.export_packing import Packing, packed
from collector.child_process import take_job
from collector.store import Store, StoreError, open_store

CHUNK = 64 * 1024
# What the exit code says; the number of unreadable records is on the standard error.
DONE, NOT_INSTALLED, NO_STORE = 0, 3, 4


class ExportJob(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted from which store, how it is packed, and the file for Parquet."""

    store: str
    wanted: Exported
    packing: Packing = "none"
    file: str = ""


def main() -> int:
    """Export what the job on the standard input asks for."""
    job, tally = take_job(ExportJob), ExportTally()
    try:
        asyncio.run(_export(job, tally))
    except ModuleNotFoundError:
        return NOT_INSTALLED
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
        if job.file:
            await export.parquet(store, job.wanted, Path(job.file), export.ExportTally())
            return
        async for piece in _pieces(store, job, tally):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    finally:
        await store.close()


def _pieces(store: Store, job: ExportJob, tally: ExportTally) -> AsyncIterator[bytes]:
    return packed(export.lines(store, job.wanted, tally), job.packing)
