"""Years of measurements for the benchmarks of a lake, made column by column.

The world is that of the defaults: the sites of the bundled lists, probes that measure all of them
every six hours and come and go, seven networks. A share of the sites is blocked, some are
throttled, some are intercepted on some days; ids are random, as a collector has them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.lake.parts import Partition
from collector.lake.schema import schema

START = datetime(2022, 1, 1, tzinfo=UTC)
DAY_MS, RUN_MS, SWEEP_MS = 86_400_000, 21_600_000, 1_200_000
COUNTRY, NETWORKS, PROBES, THROTTLED = "KZ", 7, 60, 20
WAVE_DAYS = 30  # from one wave of blocking to the next
_CATEGORIES = ("NEWS", "HUMR", "ANON", "GRP")
_ISSUERS = 3


class DayTables(NamedTuple):
    """The rows of each table on one day."""

    where: Partition
    tables: dict[str, pa.Table]


class LakeWorld:
    """Makes the days of one world, the same for the same numbers."""

    def __init__(self, rows: int, days: int, sites: int) -> None:
        self._rows, self._number, self._sites = rows, days, sites
        self._dice = np.random.default_rng(7)
        keys = self._dice.bytes(PROBES * 16).hex()
        self._keys = [keys[n * 32 : n * 32 + 20] for n in range(PROBES)]

    def days(self) -> Iterator[DayTables]:
        """One day after the other."""
        for day in range(self._number):
            first, last = (self._rows * n // self._number for n in (day, day + 1))
            where = Partition((START + timedelta(days=day)).date().isoformat(), COUNTRY)
            yield DayTables(where, self._day(day, last - first))

    def _day(self, day: int, count: int) -> dict[str, pa.Table]:
        base = self._columns(day, count)
        made = _table("measurements", base, count)
        votes = made.select(schema("votes").names).filter(pc.field("outcome") != "inconclusive")
        tables = {"measurements": made, "votes": votes, **_evidence(made)}
        if day % WAVE_DAYS == 0:
            tables["events"] = _wave(day, self._sites)
        return tables

    def _columns(self, day: int, count: int) -> dict[str, Any]:
        per_run = max(1, self._sites)
        run = np.arange(count) // per_run
        probe = (run // 4 + day // 20 * 3) % PROBES
        site = self._dice.permutation(count) % self._sites
        start = int(START.timestamp() * 1000) + day * DAY_MS
        times = start + run % 4 * RUN_MS + self._dice.integers(0, SWEEP_MS, count)
        stamps = pa.array(times, pa.timestamp("ms", tz="UTC"))
        network = probe % NETWORKS
        return {
            "id": _ids(self._dice, times),
            "run": _of([f"{day:08x}-{n:04x}-7000-8000-{n:012}" for n in range(run[-1] + 1)], run),
            "key": _of(self._keys, probe),
            "origin": _of(self._keys, probe),
            "input": _of([f"https://site{n}.example/" for n in range(self._sites)], site),
            "target": _of([f"site{n}.example" for n in range(self._sites)], site),
            "category": _of(_CATEGORIES, site % len(_CATEGORIES)),
            "measured_at": stamps,
            "started_at": stamps,
            "received_at": stamps,
            "asn": 9000 + network,
            "claimed_asn": 9000 + network,
            **_CONSTANT,
            **self._verdicts(day, site, network),
            **self._speeds(site),
        }

    def _verdicts(self, day: int, site: Any, network: Any) -> dict[str, Any]:
        """A tenth of the sites is blocked from some day on, network by network."""
        begins = (site // 10 * 37 + network * 3) % max(1, self._number)
        usual = np.where((site % 10 == 0) & (day >= begins), 1, 0)
        usual = np.where((site % 50 == 7) & (day % 400 < 20), 4, usual)
        usual = np.where((site < THROTTLED) & (site % 4 == 1) & (day % 3 > 0), 3, usual)
        noise = self._dice.random(len(site))
        outcome = np.where(noise < 0.05, 2, np.where(noise < 0.06, 1, usual))
        return {name: _of(words, outcome) for name, words in _WORDS.items()} | {
            "confidence": np.round(0.7 + 0.3 * self._dice.random(len(site)), 2)
        }

    def _speeds(self, site: Any) -> dict[str, Any]:
        """Some sites are measured by `throttle`, which has rates."""
        slow = site < THROTTLED
        rates = np.where(slow, self._dice.random(len(site)) * 1e6, np.nan)
        return {
            "experiment": _of(("web", "throttle"), slow.astype("int64")),
            "rate_target": rates,
            "rate_reference": rates * 2,
            "line_round_trip": np.round(self._dice.random(len(site)) * 0.2, 3),
        }


# What a record of each outcome says: ok, blocked, inconclusive, throttled, intercepted.
_WORDS = {
    "outcome": ("ok", "blocked", "inconclusive", "throttled", "intercepted"),
    "claim": ("ok", "blocked", "inconclusive", "throttled", "intercepted"),
    "mechanisms": ("", "tls.timeout", "", "throttle.policed", "tls.mitm"),
    "rule": ("web.ok", "tls.silence", "line.unsteady", "throttle.policed", "tls.interception"),
}
_CONSTANT = {
    "standing": "earned",
    "role": "probe",
    "region": "KZ-75",
    "network": "A network",
    "claimed_country": COUNTRY,
    "version": "0.1.0",
    "stage": "confirmed",
    "ruleset": "1",
    "voting": True,
    "excluded": False,
    "lab": False,
    "coarse": False,
    "imported": False,
}


def _of(words: Any, index: Any) -> pa.Array:
    """Text by its number in a list."""
    return pc.take(pa.array(list(words), pa.string()), pa.array(index))


def _ids(dice: np.random.Generator, times: Any) -> pa.Array:
    """Record ids as UUIDs of version 7: the time, then random digits."""
    count = len(times)
    digits = np.frombuffer(dice.bytes(16 * count).hex().encode(), "uint8").reshape(count, 32).copy()
    shown = "".join(f"{at:012x}" for at in times.tolist()).encode()
    digits[:, :12] = np.frombuffer(shown, "uint8").reshape(count, 12)
    digits[:, 12] = ord("7")
    text = np.full((count, 36), ord("-"), "uint8")
    for there, here in ((0, 0), (9, 8), (14, 12), (19, 16), (24, 20)):
        size = {0: 8, 24: 12}.get(there, 4)
        text[:, there : there + size] = digits[:, here : here + size]
    offsets = np.arange(count + 1, dtype="int32") * 36
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))


def _table(table: str, columns: dict[str, Any], count: int) -> pa.Table:
    wanted = schema(table)
    arrays = [_array(field, columns.get(field.name), count) for field in wanted]
    return pa.Table.from_arrays(arrays, schema=wanted)


def _array(field: pa.Field, values: Any, count: int) -> pa.Array:
    """A column; one value is that of every row, and without values it is the empty text or null."""
    if values is None and field.type == pa.string():
        values = ""
    if values is None or isinstance(values, str | bool):
        return pa.repeat(pa.scalar(values, field.type), count)
    if isinstance(values, pa.Array):
        return values
    return pa.array(values, field.type, from_pandas=True)


def _evidence(made: pa.Table) -> dict[str, pa.Table]:
    """The handshakes of intercepted records, and the certificates that signed them."""
    found = made.filter(pc.field("outcome") == "intercepted")
    count = found.num_rows
    if not count:
        return {}
    signed = np.arange(count) % _ISSUERS
    handshakes = {
        **{name: found.column(name).combine_chunks() for name in ("id", "target", "measured_at")},
        "number": np.ones(count, "int64"),
        "op": "tls",
        "role": "target",
        "leaf": _of([f"{n:064x}" for n in range(count)], np.arange(count)),
        "intermediate": _of([f"{n:064x}" for n in range(_ISSUERS)], signed),
        "trusted": False,
        "authority": "kz-2020",
        "proof": "verified",
        "step": "{}",
    }
    certificates = {"sha256": _of([f"{n:064x}" for n in range(_ISSUERS)], np.arange(_ISSUERS))}
    return {
        "steps": _table("steps", handshakes, count),
        "certificates": _table("certificates", certificates, _ISSUERS),
    }


def _wave(day: int, sites: int) -> pa.Table:
    """The events of one wave: a tenth of the sites on every network."""
    hit = np.arange(0, sites, 10)
    site, network = np.repeat(hit, NETWORKS), np.tile(np.arange(NETWORKS), len(hit))
    began = int(START.timestamp() * 1000) + day * DAY_MS + network * 3_600_000
    columns = {
        "id": _of([f"{day:08x}-{n}" for n in range(len(site))], np.arange(len(site))),
        "kind": "blocking",
        "state": "confirmed",
        "wave": f"wave-{day}",
        "target": _of([f"site{n}.example" for n in range(sites)], site),
        "asn": 9000 + network,
        "began_by": pa.array(began, pa.timestamp("ms", tz="UTC")),
    }
    return _table("events", columns, len(site))
