"""Records per second into a collector, beside the floor of the same machine at the same time.

    python -m bench.ingest [--clients 8] [--records 50] [--batches 40] [--workers 1]
                           [--postgres | --store URL] [--collectors 1]

The floor is one process on the serving process's core that does what cannot be left out: verify,
inflate, decode, and one fsync a batch. The collector is a process on loopback with an empty store,
on a core of its own where there are two; its judging processes and the clients are on the others.
Batches are made before the clock starts. Writes are durable: `synchronous=FULL` in SQLite, `fsync`
in PostgreSQL. `acknowledged` counts until the last reply, `judged` from there until nothing waits.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench import ingest_load, temporary_postgres  # noqa: E402 - the checkout beside this file is what is measured
from bench.field.testbed import machine  # noqa: E402 - the same
from bench.ingest_load import LoadClient  # noqa: E402 - the same
from probe import codec  # noqa: E402 - the checkout beside this file is what is measured

START = "from collector.cli import main; main()"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Serving:
    """A started collector."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def workers(self) -> list[int]:
        """Its judging processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def pin(self, own: set[int], others: set[int]) -> None:
        """Put the serving process on some cores, and its judging processes on others."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), own)
        for worker in self.workers:
            for task in Path(f"/proc/{worker}/task").iterdir():
                os.sched_setaffinity(int(task.name), others)


def cores() -> tuple[set[int], set[int]]:
    """The serving process's core, and those of everything else."""
    every = sorted(os.sched_getaffinity(0))
    return {every[0]}, set(every[1:]) or {every[0]}


@contextmanager
def serving(store: str, workers: int, profile: str | None = None) -> Iterator[Serving]:
    """A collector on this store."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "start.py"
        script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{START}\n")
        profiled = ["-m", "cProfile", "-o", profile] if profile else []
        command = [sys.executable, *profiled, str(script), "serve", "--listen", "127.0.0.1:0"]
        command += ["--store", store, "--enrolment", "open", "--lab", "--workers", str(workers)]
        log = Path(folder) / "log"
        with log.open("w") as err, subprocess.Popen(command, cwd=ROOT, stderr=err) as process:
            while (found := re.search(r"ready on (\S+?),", log.read_text())) is None:
                if process.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            started = Serving(found[1], process)
            while len(started.workers) < workers:
                time.sleep(0.1)
            yield started
            process.terminate()
            process.wait()


def floor(client: LoadClient, folder: Path, seconds: float = 2.0) -> float:
    """Records per second of one process that only verifies, inflates, decodes and syncs."""
    public = client.key.public_key()
    signed = [(body, client.signature(body)) for body in client.bodies]
    done, began = 0, time.perf_counter()
    with (folder / "floor").open("wb") as file:
        while time.perf_counter() - began < seconds:
            for body, (message, signature) in signed:
                public.verify(signature, message)
                done += len([codec.decode(line) for line in codec.unpack(body)])
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
    return done / (time.perf_counter() - began)


async def load(clients: Sequence[LoadClient]) -> tuple[int, float]:
    """Send everything at once; the number of stored records, and the seconds it took."""
    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        stored = sum(await asyncio.gather(*(one.send_all(session) for one in clients)))
        return stored, time.perf_counter() - began


async def value(url: str, name: str) -> float:
    """One series of `/metrics`, summed over its labels."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as reply:
        reply.raise_for_status()
        text = (await reply.read()).decode()
    lines = (line for line in text.splitlines() if line.startswith(name))
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


async def drained(servers: Sequence[Serving], records: int) -> tuple[float, float]:
    """Wait until all is judged; records that waited at the beginning, and the seconds it took."""
    urls = [one.url for one in servers]
    began = time.perf_counter()
    before = sum([await value(url, "qazcollector_judged_total") for url in urls])
    while True:
        now = sum([await value(url, "qazcollector_judged_total") for url in urls])
        if now >= records:
            return records - before, time.perf_counter() - began
        await asyncio.sleep(0.1)


def cpu(pid: int) -> float:
    """The processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """The most megabytes that a process held."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def report(servers: Sequence[Serving], options: argparse.Namespace, folder: Path) -> list[str]:
    """Load the collectors and return the lines of the report."""
    own, others = cores()
    share = ingest_load.check()
    urls = [one.url for one in servers]
    given = ingest_load.prepared(urls, options.clients, options.batches, options.records)
    clients = asyncio.run(given)
    sizes = [len(body) for one in clients for body in one.bodies]
    plain = [len(line) for line in codec.unpack(clients[0].bodies[0])]
    os.sched_setaffinity(0, own)
    floors = [floor(clients[0], folder)]
    os.sched_setaffinity(0, others)
    for one in servers:
        one.pin(own if len(servers) == 1 else own | others, others)
    served = [one.process.pid for one in servers]
    before = sum(map(cpu, served))
    stored, seconds = asyncio.run(load(clients))
    spent = sum(map(cpu, served)) - before
    workers = [pid for one in servers for pid in one.workers]
    judging = sum(map(cpu, workers))
    waited, judged = asyncio.run(drained(servers, stored))
    judging = sum(map(cpu, workers)) - judging
    os.sched_setaffinity(0, own)
    floors.append(floor(clients[0], folder))
    lowest, rate = statistics.mean(floors), stored / seconds
    waits = sorted(second for one in clients for second in one.seconds)
    cuts = statistics.quantiles(waits, n=100)
    return [
        (
            f"records        {stored} of {statistics.mean(plain):.0f} bytes from {options.clients}"
            f" clients, {share:.0%} interfered with"
        ),
        f"batches        {options.records} records, {statistics.mean(sizes):.0f} bytes on the wire",
        f"floor          {floors[0]:.0f} and {floors[1]:.0f} records/s, before and after",
        (
            f"acknowledged   {rate:.0f} records/s, {rate / lowest:.2f} of the floor,"
            f" {1e6 * spent / stored:.0f} µs of a core each"
        ),
        f"replies        p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms a batch",
        (
            f"judged         {waited / judged:.0f} records/s of {waited:.0f} that waited,"
            f" {1e6 * judging / max(1, waited):.0f} µs of a core each"
        ),
        (
            f"memory         {max(map(memory, served)):.0f} MB serving,"
            f" {max(map(memory, workers), default=0):.0f} MB judging, at most"
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--records", type=int, default=50)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1, help="judging processes of each")
    parser.add_argument("--collectors", type=int, default=1, help="collectors on one PostgreSQL")
    parser.add_argument("--store", help="default: a fresh SQLite file")
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of its own")
    parser.add_argument("--profile", metavar="FILE", help="profile the collector into FILE")
    options = parser.parse_args()
    print(machine())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own = stack.enter_context(temporary_postgres.running()) if options.postgres else None
        store = own or options.store or f"sqlite:///{folder}/store.sqlite3"
        servers = [
            stack.enter_context(serving(store, options.workers, options.profile))
            for _ in range(options.collectors)
        ]
        print("\n".join(report(servers, options, folder)))
        files = sum(path.stat().st_size for path in folder.glob("store.sqlite3*"))
    if files:
        total = options.clients * options.batches * options.records
        print(f"on disk        {files / total:.0f} bytes a record")


if __name__ == "__main__":
    main()
