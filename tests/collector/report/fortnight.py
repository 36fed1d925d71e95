"""A generated country: some weeks of records in a store, with events that its keeper made.

It has what a report asks for: blocks by several mechanisms that began at different times on
different networks, one that ended, one whose mechanism changed, an interception, throttling beside
references, a cut, networks with few probes, a stranger, and days without measurements.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from collector.detection.monitor import Detections
from collector.events.keeper import EventKeeper
from collector.store import (
    Execute,
    Operation,
    Store,
    heartbeats,
    keys,
    measurements,
    open_store,
)
from collector.store.measurements import MeasurementRow
from probe import targets
from probe.model import Outcome, RuleHit, Verdict
from tests.collector.admin.stored_rows import key_id, row, url_of
from tests.collector.api.test_interceptions import digests, forged_for
from tests.collector.harness import settings

DAY, HOUR = 86_400.0, 3600.0
# A Sunday; the period that reports are about begins a fortnight later.
START = 1_724_544_000.0
NETWORKS = {9198: 6, 206026: 5, 29355: 4, 48503: 4, 39824: 3, 41798: 2, 200590: 1}
INTERCEPTED = ("meduza.io", "www.change.org")
THROTTLED = ("www.azattyq.org",)
LIFTED, CHANGED, NEW = "kloop.kg", "fergana.media", "vlast.kz"
RULES = {
    "tls.reset": "tls.fails_for_this_name",
    "tls.timeout": "tls.fails_here_only",
    "tls.mitm": "tls.claims_interception_authority",
    "throttle.slow": "throttle.this_name_is_slow",
    "http.blockpage": "http.known_block_page",
    "": "ok.proven",
}


@dataclass(frozen=True)
class Country:
    """How much of it there is.

    Attributes:
        days: Of a period; the records cover two of them.
        every: Hours between two looks of a probe. share: of each network's probes.
    """

    days: int = 14
    every: float = 6.0
    sites: int = 40
    share: float = 1.0
    seed: int = 1

    @property
    def since(self) -> float:
        """When the period begins that a report is about."""
        return START + self.days * DAY

    @property
    def until(self) -> float:
        """When it ends."""
        return self.since + self.days * DAY

    @property
    def probes(self) -> list[tuple[str, int]]:
        """Every key and its network."""
        return [
            (f"{asn}-{number}", asn)
            for asn, many in NETWORKS.items()
            for number in range(max(1, round(many * self.share)))
        ]


SMALL = Country(days=4, every=6.0, sites=10, share=0.5)


@cache
def sites(number: int) -> Sequence[tuple[str, str, str]]:
    """Some sites: URL, label and category; what happens to some of them is always among them."""
    named = (*INTERCEPTED, *THROTTLED, LIFTED, CHANGED, NEW)
    found, _ = targets.load("kz", lab=True)
    every = [(one.url, targets.slug(one.url), one.category or "") for one in found]
    first = [one for one in every if one[1] in named]
    rest = [one for one in every if one[1] not in named and one[2] in {"ANON", "NEWS", "HUMR"}]
    rest.sort(key=lambda one: ("ANON", "NEWS", "HUMR").index(one[2]))
    spread = rest[:: max(1, len(rest) // max(1, number - len(first)))]
    return [*first, *spread][:number]


def records(country: Country = SMALL) -> Iterator[MeasurementRow]:
    """Every record, in the order of time."""
    draw = random.Random(country.seed)
    times = [
        (START + turn * country.every * HOUR + draw.uniform(0, 0.8 * HOUR), key, asn)
        for turn in range(int(2 * country.days * 24 / country.every))
        for key, asn in country.probes
    ]
    number = 0
    for at, key, asn in sorted(times):
        # A network is silent for a day, and a laptop sleeps now and then.
        if (asn == 39824 and int((at - country.since) // DAY) == 1) or draw.random() < 0.05:
            continue
        visit = _Visit(country, at, key, asn)
        for site in sites(country.sites):
            number += 1
            yield _look(visit, number, site, draw)
        number += 1
        yield _line(visit, number)


@dataclass(frozen=True)
class _Visit:
    """One probe on one network at one time."""

    country: Country
    at: float
    key: str
    asn: int

    @property
    def into(self) -> float:
        """Days since the period began."""
        return (self.at - self.country.since) / DAY

    @property
    def is_cut(self) -> bool:
        """An evening without a way abroad."""
        return self.asn == 206026 and 0 <= self.into - 2.5 < 9 / 24


def _look(
    visit: _Visit, number: int, site: tuple[str, str, str], draw: random.Random
) -> MeasurementRow:
    url, label, category = site
    outcome, mechanism = _happens(visit, label, category)
    if visit.is_cut or draw.random() < 0.02:
        outcome, mechanism = "inconclusive", ""
    changes: dict[str, object] = {"input": url, "target": label, "category": category}
    if outcome == "intercepted":
        chain = forged_for(label)
        changes["forged"] = ((label, digests(chain)),)
        changes["certs"] = tuple(zip(digests(chain), chain, strict=True))
        changes["authority"] = "kz.isca"
    if label in THROTTLED:
        reference = draw.uniform(2e6, 4e6)
        share = draw.uniform(0.02, 0.06) if outcome == "throttled" else draw.uniform(0.9, 1.1)
        changes |= {"rate_reference": reference, "rate_target": reference * share}
        changes["experiment"] = "throttle"
    rule = "unclear.seen_once" if outcome == "inconclusive" else RULES[mechanism]
    return _row(visit, number, (outcome, mechanism, rule), **changes)


FINE = ("ok", "")


def _happens(visit: _Visit, label: str, category: str) -> tuple[str, str]:
    """What a network does to a site at a time."""
    order, into, days = list(NETWORKS).index(visit.asn), visit.into, visit.country.days
    reset = ("blocked", "tls.reset")
    planted = {
        THROTTLED[0]: (visit.asn in {9198, 29355}, ("throttled", "throttle.slow")),
        LIFTED: (into < days / 2, reset),
        CHANGED: (True, ("blocked", "tls.timeout" if into < 0 else "http.blockpage")),
        NEW: (into > 1 + order / 12, reset),
    }
    for one in INTERCEPTED:
        here = visit.asn in {9198, 206026, 48503} and 0.5 < into < days - 1
        planted[one] = (here, ("intercepted", "tls.mitm"))
    whole = (category == "ANON" and order != 3, reset if order % 2 else ("blocked", "tls.timeout"))
    happens, what = planted.get(label, whole)
    return what if happens else FINE


def _line(visit: _Visit, number: int) -> MeasurementRow:
    found = ("ok", "", "shutdown.reaches_abroad")
    if visit.is_cut:
        found = ("blocked", "access.foreign_cut", "shutdown.cut_off")
    line = {"experiment": "connectivity", "input": "", "target": "unlisted", "category": ""}
    return _row(visit, number, found, **line)


def _row(
    visit: _Visit, number: int, found: tuple[str, str, str], **changes: object
) -> MeasurementRow:
    outcome, mechanism, rule = found
    verdict = Verdict(outcome=Outcome(outcome), rules=(RuleHit(id=rule, reason="", steps=()),))
    return msgspec.structs.replace(
        row(number, visit.key, visit.at + number % 300),
        asn=visit.asn,
        network="",
        region="",
        claim=outcome,
        outcome=outcome,
        mechanisms=mechanism,
        verdict=msgspec.json.encode(verdict).decode(),
        raw=b"",
        **changes,
    )


def fill(folder: Path, country: Country = SMALL) -> str:
    """A store with this country's records and events; its URL."""
    return fill_store(url_of(folder), folder, country)


def fill_store(url: str, folder: Path, country: Country = SMALL) -> str:
    """The same in another store; its lists are in the folder."""

    async def work() -> None:
        store = await open_store(url)
        try:
            await _fill(store, folder, country)
        finally:
            await store.close()

    asyncio.run(work())
    return url


async def _fill(store: Store, folder: Path, country: Country) -> None:
    for name in sorted({key for key, _ in country.probes}):
        await store.write(keys.add_source(key_id(name)))
    portion: list[MeasurementRow] = []
    for one in records(country):
        portion.append(one)
        if len(portion) == 500:
            await store.write(measurements.ingest(portion))
            portion = []
    await store.write(measurements.ingest(portion))
    await store.write(_beats(country))
    categories = {label: category for _, label, category in sites(country.sites)}
    keeper = EventKeeper(
        settings(folder),
        store,
        _nothing_detected,
        category=lambda label: categories.get(label, ""),
        clock=lambda: country.until + HOUR,
    )
    keeper.touch()
    await keeper.keep()


def _beats(country: Country) -> Operation[None]:
    """A heartbeat every five minutes of every probe, and of the collector, for five weeks.

    Every machine of 9198 is off from 20:00 to 21:00 of the second day and reports nothing of it; of
    the hour from 10:00 they report that they were cut off, as those of 206026 do of their cut. The
    collector is away for an hour of the third day.
    """
    first = int((country.until - heartbeats.KEPT_SECONDS) // HOUR)
    hours = range(first, int(country.until // HOUR))
    rows = [_beat("", hour, ("ZZ", 0), 0 if hour == _away(country) else ALL) for hour in hours]
    for key, asn in country.probes:
        for hour in hours:
            of_second = hour - int((country.since + DAY) // HOUR) if asn == 9198 else -1
            off = of_second == 20
            cut = of_second == 10 or _Visit(country, hour * HOUR, key, asn).is_cut
            quiet = off or cut or hour == _away(country)
            if not quiet:
                rows.append(_beat(key_id(key), hour, ("KZ", asn), ALL))
            elif cut:
                rows.append(_beat(key_id(key), hour, ("KZ", asn), 0, ALL))
    yield Execute("beat_add", rows)


ALL = (1 << 12) - 1


def _away(country: Country) -> int:
    return int((country.since + 2 * DAY) // HOUR) + 5


def _beat(
    key: str, hour: int, network: tuple[str, int], heard: int, cut: int = 0
) -> dict[str, object]:
    named = {"key_id": key, "hour": hour, "country": network[0], "asn": network[1]}
    return {**named, "heard": heard, "cut": cut, "missed": 0}


async def _nothing_detected() -> Detections:
    return Detections(events=())
