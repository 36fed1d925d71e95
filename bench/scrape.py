"""Duration of a scrape of /metrics, by number of probes and listed targets in the store.

    python -m bench.scrape [--probes 1 10 40] [--targets 500]

Each probe sends one record per listed target, a third of them with interference. The first scrape
reads the store; the second is served from the cache.
"""

import argparse
import asyncio
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

import aiohttp

from bench.field.testbed import machine
from bench.ingest import ROOT, START
from bench.ingest_load import LoadClient
from probe import codec
from tests.collector.harness import record, silent


async def fill(url: str, session: aiohttp.ClientSession, sites: list[str]) -> None:
    """Send the records of one probe's sweep."""
    client = LoadClient(url)
    await client.enrol(session)
    for at in range(0, len(sites), codec.BATCH_RECORDS):
        made = []
        for number, site in enumerate(sites[at : at + codec.BATCH_RECORDS]):
            steps = silent() if number % 3 == 0 else None
            made.append(codec.encode(record(site, steps, id=str(uuid.uuid4()), lab=True)))
        if await client.send(session, codec.pack(made)) != len(made):
            raise RuntimeError("some records were not stored")


async def judged(store: Path) -> None:
    """Wait until nothing waits to be judged; asking the collector would be a scrape."""
    with closing(sqlite3.connect(store)) as connection:
        while connection.execute("SELECT COUNT(*) FROM batch").fetchone()[0]:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.1)


async def scrape(url: str, session: aiohttp.ClientSession) -> tuple[float, bytes]:
    """One scrape: milliseconds and the body."""
    began = time.perf_counter()
    async with session.get(f"{url}/metrics") as reply:
        body = await reply.read()
    return 1000 * (time.perf_counter() - began), body


async def measure(url: str, file: Path, sites: list[str], steps: list[int]) -> None:
    print(f"{'probes':>7}{'records':>9}{'first':>10}{'second':>10}{'bytes':>11}{'series':>9}")
    done = 0
    async with aiohttp.ClientSession() as session:
        for probes in steps:
            while done < probes:
                await fill(url, session, sites)
                done += 1
            await judged(file)
            await asyncio.sleep(1.0)
            first, body = await scrape(url, session)
            second, _ = await scrape(url, session)
            series = sum(not line.startswith(b"#") for line in body.splitlines())
            print(
                f"{probes:7}{probes * len(sites):9}{first:7.0f} ms{second:7.0f} ms"
                f"{len(body):11}{series:9}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Duration of a scrape.")
    parser.add_argument("--probes", type=int, nargs="+", default=[1, 10, 40])
    parser.add_argument("--targets", type=int, default=500)
    options = parser.parse_args()
    print(machine())
    sites = [f"https://site{number}.example/" for number in range(options.targets)]
    with tempfile.TemporaryDirectory() as folder:
        listed, script = Path(folder) / "listed.txt", Path(folder) / "start.py"
        listed.write_text("".join(f"{site}\n" for site in sites))
        script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{START}\n")
        file = Path(folder) / "store.sqlite3"
        store = f"sqlite:///{file}"
        serve = ["--listen", "127.0.0.1:0", "--store", store, "--enrolment", "open", "--lab"]
        command = [sys.executable, str(script), "serve", *serve, "--targets", str(listed)]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            found = re.search(r"ready on (\S+?),", process.stderr.readline())
            assert found
            try:
                asyncio.run(measure(found[1], file, sites, options.probes))
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
