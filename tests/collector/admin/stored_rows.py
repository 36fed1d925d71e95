"""Stores that are filled without a collector, for tests of what reads them."""

import asyncio
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from collector.store import Store, keys, measurements, open_store
from collector.store.measurements import MeasurementRow
from probe import codec
from probe.model import Outcome, RuleHit, Verdict
from tests.collector.harness import LISTED, record

NOON = 1_795_600_800.0
HOUR, DAY = 3600.0, 86_400.0
FINE = {"outcome": "ok", "mechanisms": "", "claim": "ok"}


def row(number: int, key: str = "a", at: float = NOON, **changes: object) -> MeasurementRow:
    """A record of a probe in KZ, on a listed target."""
    started_at = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    sent = record(id=f"00000000-0000-0000-0000-{number:012}", started_at=started_at)
    verdict = Verdict(
        outcome=Outcome.BLOCKED, rules=(RuleHit(id="tls.first", reason="", steps=()),)
    )
    made = MeasurementRow(
        id=sent.id,
        key_id=key_id(key),
        run=sent.run,
        role="probe",
        lab=0,
        experiment="web",
        input=LISTED,
        target="listed.example",
        category="NEWS",
        at=at,
        started_at=started_at,
        received_at=int(at) + 60,
        country="KZ",
        asn=9198,
        region="KZ-75",
        network="JSC Kazakhtelecom",
        version="0.1.0",
        peer_agrees=1,
        claim="ok",
        claim_mechanisms="",
        outcome="blocked",
        mechanisms="tls.timeout",
        confidence=0.9,
        verdict=msgspec.json.encode(verdict).decode(),
        ruleset="1",
        timings="",
        raw=zlib.compress(codec.encode(sent), 1),
    )
    return msgspec.structs.replace(made, **changes)


def looks(keys: str = "abc", first: float = 12.0) -> list[MeasurementRow]:
    """Looks of some keys every six hours, from that many hours on with a block."""
    found = []
    for number, key in enumerate(keys):
        for turn in range(8):
            at = NOON + turn * 6 * HOUR + number * 600
            seen = {} if turn * 6 >= first else FINE
            found.append(row(100 * number + turn, key, at, **seen))
    return sorted(found, key=lambda one: one.at)


def key_id(name: str) -> str:
    return name.encode().hex().ljust(32, "0")


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/store.sqlite3"


def fill(folder: Path, rows: Iterable[MeasurementRow]) -> str:
    """A store with these records, whose keys the operator answers for; its URL."""
    return fill_store(url_of(folder), rows)


def fill_store(url: str, rows: Iterable[MeasurementRow]) -> str:
    """The same in another store."""

    async def work() -> None:
        store = await open_store(url)
        try:
            await _fill(store, list(rows))
        finally:
            await store.close()

    asyncio.run(work())
    return url


async def _fill(store: Store, rows: list[MeasurementRow]) -> None:
    for key in sorted({one.key_id for one in rows}):
        await store.write(keys.add_source(key))
    for start in range(0, len(rows), 500):
        await store.write(measurements.ingest(rows[start : start + 500]))
