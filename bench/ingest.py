"""Measurements per second through a collector: verify, inflate, decode, judge, store, acknowledge.

    python -m bench.ingest [--clients 8] [--records 50] [--batches 40] [--postgres | --store URL]

The collector is a process of its own, on loopback, with an empty store; the batches are made and
signed before the clock starts. Writes are durable: `synchronous=FULL` in SQLite, `fsync` in
PostgreSQL.
"""

import argparse
import asyncio
import base64
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import nullcontext
from pathlib import Path

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench import temporary_postgres  # noqa: E402 - the checkout beside this file is what is measured
from bench.field.testbed import machine  # noqa: E402 - the same
from probe import codec  # noqa: E402 - the checkout beside this file is what is measured
from probe.api_types import BatchReply, EnrolReply, EnrolRequest  # noqa: E402 - the same
from probe.model import Record  # noqa: E402 - the same
from tests.collector.harness import LISTED, record, silent  # noqa: E402 - the same

START = "from collector.cli import main; main()"


class Client:
    """One probe with its batches."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes_raw()
        self.requests: list[tuple[bytes, dict[str, str]]] = []
        self.seconds: list[float] = []

    async def prepare(self, session: aiohttp.ClientSession, batches: int, records: int) -> None:
        proof = self.key.sign(codec.enrol_bytes(self.public, None, "probe"))
        options = EnrolRequest(key=_base64(self.public), proof=_base64(proof))
        url, headers = f"{self.url}/v1/enroll", {"Content-Type": "application/json"}
        async with session.post(url, data=codec.encode(options), headers=headers) as reply:
            known = msgspec.json.decode(await reply.read(), type=EnrolReply)
        self._known = known
        for number in range(batches):
            made = [_record(n + number * records) for n in range(records)]
            self.requests.append(self._signed(list(map(codec.encode, made))))

    def _signed(self, lines: list[bytes]) -> tuple[bytes, dict[str, str]]:
        body = codec.pack(lines)
        created = str(int(time.time()))
        path = "/v1/measurements"
        message = codec.signed_bytes(self._known.collector_id, "POST", path, created, body)
        headers = {
            "Content-Type": codec.BATCH_TYPE,
            "Qaz-Key": self._known.key_id,
            "Qaz-Created": created,
            "Qaz-Signature": _base64(self.key.sign(message)),
        }
        return body, headers

    async def send_one(self, session: aiohttp.ClientSession, lines: list[bytes]) -> None:
        """Send one batch of these records."""
        body, headers = self._signed(lines)
        url = f"{self.url}/v1/measurements"
        async with session.post(url, data=body, headers=headers) as reply:
            answer = msgspec.json.decode(await reply.read(), type=BatchReply)
        if answer.stored != len(lines):
            raise RuntimeError(f"{answer.stored} of {len(lines)} records were stored")

    async def send(self, session: aiohttp.ClientSession) -> int:
        stored = 0
        for body, headers in self.requests:
            began = time.perf_counter()
            url = f"{self.url}/v1/measurements"
            async with session.post(url, data=body, headers=headers) as reply:
                answer = msgspec.json.decode(await reply.read(), type=BatchReply)
            self.seconds.append(time.perf_counter() - began)
            stored += answer.stored
        return stored


def _record(number: int) -> Record:
    """About 5 KB, as measured: every third one is interfered with."""
    url = LISTED if number % 2 else f"https://site{number % 997}.example/"
    steps = silent() if number % 3 == 0 else None
    return record(url, steps, id=str(uuid.uuid4()), lab=True)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def measure(url: str, clients: int, batches: int, records: int) -> list[str]:
    """Send everything at once; return the lines of the report."""
    async with aiohttp.ClientSession() as session:
        probes = [Client(url) for _ in range(clients)]
        for probe in probes:
            await probe.prepare(session, batches, records)
        sizes = [len(body) for probe in probes for body, _ in probe.requests]
        plain = len(codec.encode(_record(0)))
        began = time.perf_counter()
        stored = sum(await asyncio.gather(*(probe.send(session) for probe in probes)))
        seconds = time.perf_counter() - began
        scrape = time.perf_counter()
        async with session.get(f"{url}/metrics") as reply:
            size = len(await reply.read())
        scrape = time.perf_counter() - scrape
    waits = sorted(second for probe in probes for second in probe.seconds)
    cuts = statistics.quantiles(waits, n=100)
    return [
        f"records        {stored} of {plain} bytes from {clients} clients",
        f"batches        {records} records, {statistics.mean(sizes):.0f} bytes on the wire",
        f"throughput     {stored / seconds:.0f} measurements/s",
        f"acknowledged   p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms a batch",
        f"first scrape   {scrape * 1000:.0f} ms, {size} bytes",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--records", type=int, default=50)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--store", help="default: a fresh SQLite file")
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of its own")
    parser.add_argument("--profile", metavar="FILE", help="profile the collector into FILE")
    options = parser.parse_args()
    print(machine())
    own = temporary_postgres.running() if options.postgres else nullcontext(options.store)
    with own as given, tempfile.TemporaryDirectory() as folder:
        store = given or f"sqlite:///{folder}/store.sqlite3"
        profile = ["-m", "cProfile", "-o", options.profile] if options.profile else []
        script = Path(folder) / "start.py"
        script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{START}\n")
        serve = ["--listen", "127.0.0.1:0", "--store", store, "--enrolment", "open", "--lab"]
        command = [sys.executable, *profile, str(script), "serve", *serve]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            found = re.search(r"ready on (\S+?),", process.stderr.readline())
            assert found
            lines = asyncio.run(
                measure(found[1], options.clients, options.batches, options.records)
            )
            memory = Path(f"/proc/{process.pid}/status").read_text()
            peak = re.search(r"VmHWM:\s+(\d+)", memory)
            process.terminate()
            process.wait()
        files = sum(path.stat().st_size for path in Path(folder).glob("store.sqlite3*"))
    total = options.clients * options.batches * options.records
    print("\n".join(lines))
    print(f"memory         {int(peak[1]) / 1024 if peak else 0:.0f} MB at most")
    if files:
        print(f"on disk        {files / total:.0f} bytes a record")


if __name__ == "__main__":
    main()
