"""What other work leaves of a collector's ingest: bulk transfers, exports and readers beside it.

    python -m bench.beside [--clients 4] [--records 50] [--batches 10] [--rounds 3]

The collector has one core and the clients another. Rounds without other work and with it take
turns; the share is of the median rate. 8 clients move bulk data, 4 export JSON lines, 10 read
events, each without a pause.
"""

import argparse
import asyncio
import contextlib
import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from bench.field.testbed import machine
from bench.ingest import ROOT, START, load
from bench.ingest_load import prepared

Work = Callable[[str, aiohttp.ClientSession], Awaitable[None]]


async def bulk(url: str, session: aiohttp.ClientSession) -> None:
    """Fetch one object of 8 MB from the throughput server."""
    async with session.get(f"{url}/v1/service") as reply:
        server = (await reply.json())["bulk"][0]
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        server["address"], server["port"], ssl=context, server_hostname="any.example"
    )
    writer.write(b"GET /8388608 HTTP/1.1\r\n\r\n")
    while await reader.read(1 << 18):
        pass
    writer.close()


async def export(url: str, session: aiohttp.ClientSession) -> None:
    """Fetch all records as JSON lines."""
    async with session.get(f"{url}/v1/export") as reply:
        async for _ in reply.content.iter_any():
            pass


async def events(url: str, session: aiohttp.ClientSession) -> None:
    """Ask for the events of a week."""
    async with session.get(f"{url}/v1/events") as reply:
        await reply.read()


OTHERS: dict[str, tuple[Work, int]] = {
    "8 bulk transfers": (bulk, 8),
    "4 exports": (export, 4),
    "10 readers": (events, 10),
}


async def repeat(name: str, url: str) -> None:
    """Do some work again and again, and print a line for each piece."""
    work, number = OTHERS[name]

    async def go_on(session: aiohttp.ClientSession) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await work(url, session)
                print("done", flush=True)
            await asyncio.sleep(0.01)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(go_on(session) for _ in range(number)))


async def rate(url: str, options: argparse.Namespace) -> float:
    """Acknowledged records a second of fresh clients."""
    clients = await prepared([url], options.clients, options.batches, options.records)
    stored, seconds = await load(clients)
    return stored / seconds


def beside(url: str, options: argparse.Namespace, name: str) -> str:
    """The share of its rate that ingest keeps beside some work, which another process asks for."""
    alone: list[float] = []
    shared: list[float] = []
    pieces = 0
    command = [
        "nice",
        "-n",
        "10",
        sys.executable,
        "-m",
        "bench.beside",
        "--work",
        name,
        "--url",
        url,
    ]
    for _ in range(options.rounds):
        alone.append(asyncio.run(rate(url, options)))
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()  # it has begun
            shared.append(asyncio.run(rate(url, options)))
            other.kill()
            pieces += len(other.stdout.read().splitlines())
    quiet, busy = statistics.median(alone), statistics.median(shared)
    return f"{quiet:8.0f}/s {busy:8.0f}/s {busy / quiet:6.0%} {pieces:8}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Ingest beside other work.")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--records", type=int, default=50)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", choices=OTHERS, help="only do this, for another process")
    parser.add_argument("--url")
    options = parser.parse_args()
    if options.work:
        asyncio.run(repeat(options.work, options.url))
        return
    cores = sorted(os.sched_getaffinity(0))
    print(machine())
    print(f"{'beside':20}{'alone':>9} {'shared':>9} {'share':>8} {'pieces':>8} {'memory':>8}")
    for name in OTHERS:
        with tempfile.TemporaryDirectory() as folder:
            store = f"sqlite:///{folder}/store.sqlite3"
            serve = ["--listen", "127.0.0.1:0", "--bulk", "127.0.0.1:0", "--store", store]
            command = [
                sys.executable,
                "-c",
                START,
                "serve",
                *serve,
                "--enrolment",
                "open",
                "--lab",
                "--workers",
                "1",
            ]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            with subprocess.Popen(
                ["taskset", "-c", str(cores[0]), *command],
                cwd=ROOT,
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                assert process.stderr is not None
                found = re.search(r"ready on (\S+?),", process.stderr.readline())
                assert found
                os.sched_setaffinity(0, set(cores[1:]) or set(cores))
                try:
                    line = beside(found[1], options, name)
                    status = Path(f"/proc/{process.pid}/status").read_text()
                finally:
                    process.terminate()
                peak = re.search(r"VmHWM:\s+(\d+)", status)
                print(f"{name:20}{line} {int(peak[1]) // 1024 if peak else 0:5} MB", flush=True)
                process.wait()


if __name__ == "__main__":
    main()
