"""Hostile requests to a running collector for some minutes, and whether it stays what it should be.

    python -m bench.fuzz_routes [--minutes 1] [--seed N] [--memory 700] [--store URL]

Methods, paths, parameters, headers and bodies at random, signed ones among them; chunks that are
none, gzip bombs, pipelining, slow and half-closed and aborted connections, responses that no client
reads. After each round the collector must be the same process, alive and ready, must have stored an
honest batch, answered its operator and logged no bug, and must be within its memory.
"""

import argparse
import asyncio
import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import msgspec

from bench.field.testbed import machine
from bench.fuzz.cases import Case, make
from bench.ingest import ROOT, START
from probe import codec
from probe.api_types import BatchReply
from tests.collector.harness import CollectorHarness, SigningClient, record

ROUND = 100
AT_ONCE = 20
KEYS = 8
READ_SECONDS, PAUSE_SECONDS = 6.0, 0.7
HONEST_SECONDS, STOP_SECONDS = 60.0, 60
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass
class Findings:
    """What was asked, what was answered, and what was wrong."""

    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory_mb: int = 0


class Running:
    """A collector process, with the lines that it logged."""

    def __init__(self, store: str) -> None:
        options = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--store", store]
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, "serve", *options, "--enrolment", "open"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        ready = self._until_ready()
        found = re.search(r"ready on (\S+?), .*admin on (\S+)", ready)
        if found is None:
            raise RuntimeError(f"the collector did not start: {ready}")
        self.url, self.admin = found[1], found[2]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _until_ready(self) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "ready on" in line:
                return line
        return ""

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines += self.process.stderr

    def stop(self) -> None:
        """Ask it to stop, and note if it does not."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.lines.append(f"did not stop within {STOP_SECONDS} seconds")
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def memory_mb(self) -> int:
        """The most memory that the serving process ever had."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
        return int(found[1]) // 1024 if found else 0


@contextmanager
def collector(store: str) -> Iterator[Running]:
    """A collector until the context ends."""
    running = Running(store)
    try:
        yield running
    finally:
        running.stop()


class Fuzzer:
    """Sends cases and looks after each round."""

    def __init__(self, running: Running, seed: int, memory_mb: int) -> None:
        self.running = running
        self.findings = Findings()
        self.rng = random.Random(seed)
        self._memory_mb = memory_mb
        host, _, port = running.url.removeprefix("http://").partition(":")
        self._host, self._port = host, int(port)

    async def run(self, *, seconds: float, rounds: int = 10**9) -> Findings:
        """Rounds until the time is over or something is wrong."""
        async with aiohttp.ClientSession() as session:
            clients = [await self._enrol(session) for _ in range(KEYS)]
            end = time.monotonic() + seconds
            for _ in range(rounds):
                if time.monotonic() > end or self.findings.wrong:
                    break
                client = self.rng.choice(clients)
                cases = [make(self.rng, client.sign, _line) for _ in range(ROUND)]
                for at in range(0, ROUND, AT_ONCE):
                    await asyncio.gather(*(self._send(case) for case in cases[at : at + AT_ONCE]))
                await self._look(session, client)
                if self.findings.wrong:
                    self.findings.wrong.append(f"in a round of {Counter(c.what for c in cases)}")
        return self.findings

    async def _enrol(self, session: aiohttp.ClientSession) -> SigningClient:
        async with session.get(f"{self.running.url}/v1/service") as reply:
            id_ = msgspec.json.decode(await reply.read())["collector_id"]
        service = SimpleNamespace(store=SimpleNamespace(collector_id=id_))
        harness = CollectorHarness(SimpleNamespace(url=self.running.url, service=service), session)  # type: ignore[arg-type]
        client = SigningClient(harness)
        enrolled = await client.enrol()
        if enrolled.status != 200:
            raise RuntimeError(f"not enrolled: {enrolled}")
        return client

    async def _send(self, case: Case) -> None:
        self.findings.kinds[f"{case.what[1:]} {case.manner}"] += 1
        try:
            async with asyncio.timeout(READ_SECONDS):
                reader, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError):
            self.findings.statuses["not connected"] += 1
            return
        try:
            async with asyncio.timeout(READ_SECONDS):
                answer = await self._converse(case, reader, writer)
        except TimeoutError:
            answer = b""
            self.findings.statuses["open"] += 1
        except OSError:
            answer = b""
            self.findings.statuses["reset"] += 1
        finally:
            writer.transport.abort()
        for status in _STATUS.findall(answer):
            self.findings.statuses[status.decode()] += 1
            if status == b"500":
                self.findings.wrong.append(
                    f"500 to {case.what} {case.manner}: {case.data[:3000]!r}"
                )

    async def _converse(
        self, case: Case, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        data = case.data
        if case.manner == "cut":
            data = data[: self.rng.randrange(len(data) + 1)]
        if case.manner == "slow":
            step = max(1, len(data) // 8)
            for at in range(0, len(data), step):
                writer.write(data[at : at + step])
                await writer.drain()
                await asyncio.sleep(0.02)
        else:
            writer.write(data)
        if case.manner == "aborted":
            await asyncio.sleep(0.01)
            return b""
        if case.manner == "unread":
            await asyncio.sleep(1.0)
            return b""
        await writer.drain()
        if case.manner == "half_closed":
            writer.write_eof()
        return await _read(reader)

    async def _look(self, session: aiohttp.ClientSession, client: SigningClient) -> None:
        wrong = self.findings.wrong
        if self.running.process.poll() is not None:
            wrong.append(f"it ended with {self.running.process.returncode}")
            return
        for url in (f"{self.running.url}/healthz", f"{self.running.admin}/readyz"):
            wrong += await self._is_well(session, url)
        try:
            async with asyncio.timeout(HONEST_SECONDS):
                reply = await client.post(codec.pack([_line()]))
            if reply.status == 200:
                if reply.read(BatchReply).stored != 1:
                    wrong.append(f"an honest record was not stored: {reply.body!r}")
            elif reply.status != 429:
                wrong.append(f"an honest batch got {reply.status}: {reply.body!r}")
        except (TimeoutError, aiohttp.ClientError) as error:
            wrong.append(f"an honest batch failed: {error!r}")
        self.findings.memory_mb = self.running.memory_mb()
        if self.findings.memory_mb > self._memory_mb:
            wrong.append(f"it took {self.findings.memory_mb} MB")
        bugs = [line for line in self.running.lines if "bug" in line or "Traceback" in line]
        if bugs:
            wrong.append("it logged a bug:\n" + "".join(self.running.lines[-60:]))

    async def _is_well(self, session: aiohttp.ClientSession, url: str) -> list[str]:
        try:
            async with asyncio.timeout(HONEST_SECONDS), session.get(url) as reply:
                return [] if reply.status == 200 else [f"{url}: {reply.status}"]
        except (TimeoutError, aiohttp.ClientError) as error:
            return [f"{url}: {error!r}"]


async def _read(reader: asyncio.StreamReader) -> bytes:
    """What is answered until nothing comes for a while."""
    found = bytearray()
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(PAUSE_SECONDS):
                part = await reader.read(65536)
            if not part:
                break
            found += part
    return bytes(found)


def _line() -> bytes:
    return codec.encode(record())


def fuzz(store: str, *, seed: int, seconds: float, memory_mb: int, rounds: int = 10**9) -> Findings:
    """Fuzz a fresh collector over this store."""
    with collector(store) as running:
        found = asyncio.run(Fuzzer(running, seed, memory_mb).run(seconds=seconds, rounds=rounds))
    found.wrong += [line for line in running.lines if "did not stop" in line]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=int, default=700, help="MB of the serving process")
    parser.add_argument("--store", help="default: a fresh SQLite file")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or f"sqlite:///{folder}/store.sqlite3"
        found = fuzz(
            store, seed=options.seed, seconds=60 * options.minutes, memory_mb=options.memory
        )
    print(f"cases       {found.kinds.total()}, seed {options.seed}")
    print(f"answers     {dict(found.statuses.most_common())}")
    print(f"memory      {found.memory_mb} MB at most")
    print("\n".join(found.wrong) or "nothing wrong")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
