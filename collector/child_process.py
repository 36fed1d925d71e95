"""A process beside the collector: it reads its job from its standard input and ends with it.

Rule: what is heavy and not urgent runs in such a process at low priority, so that it takes no
time from the collector's event loop. A job may contain the store's password, so it is never an
argument. The child leads a session of its own, so that a Ctrl-C reaches the collector only, and
ends when its standard input does, so that none is left when the collector is killed.
"""

import asyncio
import contextlib
import os
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

NICE = 10
_OUTPUT_LIMIT = 64 * 1024
# The child finds the modules where this process found them.
_START = """
import json, sys
sys.path[:] = json.loads(sys.stdin.buffer.readline())
from {module} import main
sys.exit(main())
"""


@asynccontextmanager
async def child(module: str, job: msgspec.Struct) -> AsyncIterator[Process]:
    """Run `main` of a module with a job until the context ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _START.format(module=module),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=_OUTPUT_LIMIT,
        start_new_session=True,
    )
    try:
        if process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                paths = msgspec.json.encode([path or str(Path.cwd()) for path in sys.path])
                process.stdin.write(paths + b"\n" + msgspec.json.encode(job) + b"\n")
                await process.stdin.drain()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


def take_job(type_: type[T]) -> T:
    """In the child: its job. It yields to others, and ends when the collector does."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=type_)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return job


def _end_with_parent() -> None:
    # The descriptor, because a thread that waits in a buffered reader holds its lock at exit.
    while os.read(0, 1024):
        pass
    os._exit(1)
