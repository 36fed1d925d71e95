"""What it costs to poison a collector: keys, origins and days for each false result.

    python -m bench.poisoning [--honest 0 4 40] [--invited] [--quorum 3]

The collector's own code is attacked: enrolment, the store, the comparison of each day, metrics and
detection, with a clock that is moved. Honest probes of one network were invited long ago, each from
an origin of its own. The attacker's keys enrol openly (or with one leaked invite: --invited), from
some number of networks (/24), several keys on each; they send what honest probes send for some
days, and lie on the last one. The table has the cheapest attack that worked, and says whether 50
keys of one origin did within 30 days.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from collector import conduct
from collector.detection.monitor import Monitor
from collector.events import storage
from collector.events.keeper import EventKeeper
from collector.events.model import EventState
from collector.metrics.counting import Snapshot, read_rows, snapshot_of
from collector.metrics.families import families
from collector.places import RequestOrigin
from collector.settings import Address, CollectorSettings
from collector.store import (
    Execute,
    Operation,
    Store,
    heartbeats,
    keys,
    measurements,
    open_store,
)
from collector.store.keys import Key, ProbeNetwork
from collector.store.measurements import MeasurementRow
from collector.target_labels import TargetLabels

DAY, HOUR = 86_400.0, 3600.0
# A Wednesday noon, and a network.
NOW = 1_795_608_000.0
COUNTRY, ASN = "KZ", 9198
TARGETS = tuple(f"site{n}.example" for n in range(10))
VICTIM = TARGETS[0]
MOST_DAYS, MOST_ORIGINS, CROWD = 30, 128, 50
LEAKED = "qaz1-leaked"
# What the attacker says on the last day: three hours without anything abroad.
CUT = (NOW - 5 * HOUR, NOW - 2 * HOUR)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Attributes:
        keys: On each origin. days: between enrolment and the lie.
        invited: They share one leaked invite instead of enrolling openly.
    """

    honest: int
    origins: int
    keys: int = 1
    days: int = 0
    invited: bool = False
    quorum: int = 3


@dataclass(frozen=True, slots=True)
class Member:
    """One key of either side."""

    key_id: str
    origin: str
    enrolled_at: float
    liar: bool


Say = Callable[[Member, str, bool], tuple[str, float | None]]  # member, target, last day


@dataclass(frozen=True, slots=True)
class Goal:
    """What an attacker wants: what the world is, what he says, and how one sees that he has it."""

    name: str
    say: Say
    reached: Callable[["World"], Awaitable[bool]]
    needs_honest: bool = False


class World:
    """A store in which an attack took place."""

    def __init__(self, store: Store, attack: Attack) -> None:
        self.store = store
        self.attack = attack
        self.members = [*_honest(attack.honest), *_liars(attack)]
        self.settings = CollectorSettings(
            listen=Address("127.0.0.1", 0), store="", enrolment="open", quorum=attack.quorum
        )

    async def enrol(self) -> None:
        """Enrol every key through the collector's own operation."""
        if self.attack.invited:
            at = NOW - self.attack.days * DAY
            leaked = keys.add_invite(LEAKED, "probe", uses=10**6, at=at, expires_at=NOW)
            await self.store.write(leaked)
        await self.store.write(_together(_enrol(one, self.attack) for one in self.members))

    async def live(self, say: Say) -> None:
        """Let the days pass: every key measures once a day, and each day is assessed."""
        first = NOW - max(14.0, self.attack.days) * DAY
        days = int((NOW - first) // DAY)
        for n in range(days, -1, -1):
            at = NOW - n * DAY - HOUR
            # On the last day all probes look twice: a liar repeats its lie.
            for sweep in (at - 2 * HOUR, at) if n == 0 else (at,):
                with patch("time.time_ns", return_value=int(sweep * 1e9)):
                    present = [one for one in self.members if one.enrolled_at <= sweep]
                    rows = [row for one in present for row in _rows(one, say, sweep, last=n == 0)]
                    await self.store.write(measurements.ingest(rows))
            await self._assess(at)

    async def _assess(self, at: float) -> None:
        standings = await self.store.read(conduct.read_standings(at, lab=False))
        day = int(at // DAY)
        found = await conduct.assess_day(self.store, day, standings)
        await self.store.write(conduct.store_days({day: found}))

    async def event(self, kind: str) -> bool:
        """Whether there is a confirmed event of this kind now, for any target."""
        monitor = Monitor(self.settings, self.store, lambda: NOW)
        keeper = EventKeeper(
            self.settings,
            self.store,
            monitor.detections,
            category=lambda _: "",
            clock=lambda: NOW,
        )
        await keeper.keep()
        found = [one.event for one in await self.store.read(storage.all_events())]
        return any(one.kind == kind and one.state is EventState.CONFIRMED for one in found)

    async def snapshot(self) -> Snapshot:
        """What the metrics are made of."""
        return snapshot_of(await self.store.read(read_rows(NOW - DAY, now=NOW, lab=False)))

    async def value(self, name: str, target: str) -> float | None:
        """The value of one series about a target."""
        labels = TargetLabels(())
        for family in families(await self.snapshot(), labels, self.attack.quorum):
            if family.name == name:
                return next((s.value for s in family.samples if s.labels[0] == target), None)
        return None

    async def shutdown(self) -> bool:
        """Whether detection says that there was a shutdown, now or afterwards."""
        await self.store.write(_together(_beats(one) for one in self.members))
        await self.store.write(_collector_beats())
        monitor = Monitor(self.settings, self.store, lambda: NOW)
        found = await monitor.detections()
        return any(one.kind == "shutdown" for one in found.events)


def _honest(count: int) -> list[Member]:
    return [Member(f"h{n:031x}", f"home{n}", NOW - 60 * DAY, liar=False) for n in range(count)]


def _liars(attack: Attack) -> list[Member]:
    at = NOW - attack.days * DAY - 5 * HOUR
    return [
        Member(f"a{origin:015x}{n:016x}", f"cloud{origin}", at, liar=True)
        for origin in range(attack.origins)
        for n in range(attack.keys)
    ]


def _together(parts: Iterable[Operation[None]]) -> Operation[None]:
    for part in parts:
        yield from part


def _enrol(one: Member, attack: Attack) -> Operation[None]:
    """Invite honest probes one by one; attackers have a leaked invite, or none."""
    at = one.enrolled_at
    invite = LEAKED if attack.invited else None
    if not one.liar:
        invite = one.key_id
        yield from keys.add_invite(invite, "probe", uses=1, at=at, expires_at=at + DAY)
    origin = RequestOrigin(COUNTRY, ASN, prefix=one.origin)
    key = Key(one.key_id, b"k" * 32, "probe")
    yield from keys.enrol(key, invite, needs_invite=False, at=at, origin=origin)


def _rows(one: Member, say: Say, at: float, *, last: bool) -> list[MeasurementRow]:
    """One sweep of the targets."""
    found = []
    for number, target in enumerate(TARGETS):
        outcome, rate = say(one, target, last)
        found.append(
            MeasurementRow(
                id=f"{one.key_id[:20]}{int(at) % 10**8:08}{number:04}",
                key_id=one.key_id,
                run=f"{one.key_id}{int(at)}",
                role="probe",
                lab=0,
                experiment="throttle" if rate is not None else "web",
                input=f"https://{target}/",
                target=target,
                category="NEWS",
                at=at + number,
                started_at="",
                received_at=int(at) + 60,
                country=COUNTRY,
                asn=ASN,
                claimed_country=COUNTRY,
                claimed_asn=ASN,
                origin=RequestOrigin(COUNTRY, ASN, prefix=one.origin),
                region="",
                network="",
                version="",
                peer_agrees=1,
                claim=outcome,
                claim_mechanisms="",
                outcome=outcome,
                authority="kz.qca" if outcome == "intercepted" else "",
                timings="",
                rate_target=rate,
                rate_reference=None if rate is None else 1000.0,
                raw=b"",
            )
        )
    return found


def _beats(one: Member) -> Operation[None]:
    """Heartbeats of always-on machines; liars say that they were cut off for some hours."""
    since = max(one.enrolled_at, NOW - 14 * DAY)
    rows = []
    for hour in range(int(since // HOUR), int(NOW // HOUR) + 1):
        cut = one.liar and CUT[0] <= hour * HOUR < CUT[1]
        bits = {"heard": 0 if cut else 4095, "cut": 4095 if cut else 0, "missed": 0}
        rows.append({"key_id": one.key_id, "hour": hour, "country": COUNTRY, "asn": ASN, **bits})
    yield Execute("beat_add", rows)
    yield from keys.mark_seen(one.key_id, NOW, ProbeNetwork(COUNTRY, ASN))


def _collector_beats() -> Operation[None]:
    at = NOW - 14 * DAY
    while at < NOW:
        yield from heartbeats.record_collector_heartbeat(at)
        at += 300.0


# --- goals ----------------------------------------------------------------------------------------


def _lies(outcome: str, truth: str = "ok") -> Say:
    def say(one: Member, target: str, last: bool) -> tuple[str, float | None]:  # noqa: FBT001 - a day
        if target != VICTIM:
            return "ok", None
        return (outcome if one.liar and last else truth), None

    return say


def _rates(one: Member, target: str, last: bool) -> tuple[str, float | None]:  # noqa: FBT001 - a day
    slow = one.liar and last and target == VICTIM
    return "ok", 100.0 if slow else 1000.0


async def _blocked(world: World) -> bool:
    return await world.event("blocking")


async def _hidden(world: World) -> bool:
    return not await world.event("blocking")


async def _intercepted(world: World) -> bool:
    return await world.event("interception")


async def _shutdown(world: World) -> bool:
    return await world.shutdown()


async def _skewed(world: World) -> bool:
    """A median of less than three quarters of the truth."""
    value = await world.value("qazprobe_throttle_ratio", VICTIM)
    return value is not None and value < 0.75


GOALS = (
    Goal("false block", _lies("blocked"), _blocked),
    Goal("hidden block", _lies("ok", "blocked"), _hidden, needs_honest=True),
    Goal("false interception", _lies("intercepted"), _intercepted),
    Goal("false shutdown", _lies("ok"), _shutdown),
    Goal("skewed throughput", _rates, _skewed),
)


async def succeeds(goal: Goal, attack: Attack) -> bool:
    """Carry out an attack on a new store; whether the collector then says what he wants."""
    with TemporaryDirectory() as folder:
        store = await open_store(f"sqlite:///{Path(folder)}/store.sqlite3")
        try:
            world = World(store, attack)
            await world.enrol()
            await world.live(goal.say)
            return bool(await goal.reached(world))
        finally:
            await store.close()


def cheapest(goal: Goal, attack: Attack) -> tuple[int, int] | None:
    """The least number of origins, and then of days, with which an attack succeeds."""

    def works(origins: int, days: int) -> bool:
        return asyncio.run(succeeds(goal, replace(attack, origins=origins, days=days)))

    high = 4
    while not works(high, MOST_DAYS):
        if high >= MOST_ORIGINS:
            return None
        high *= 2
    origins = _least(1, high, lambda n: works(n, MOST_DAYS))
    return origins, _least(0, MOST_DAYS, lambda n: works(origins, n))


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The least number from which on it holds, if it holds at `high`."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--honest", type=int, nargs="+", default=[0, 4, 40])
    parser.add_argument("--invited", action="store_true", help="with one leaked invite")
    parser.add_argument("--quorum", type=int, default=3)
    options = parser.parse_args()
    print(
        f"{'goal':20}{'honest':>7}{'keys':>6}{'origins':>9}{'days':>6}  {CROWD} keys of one origin"
    )
    for goal in GOALS:
        for honest in options.honest:
            if goal.needs_honest and not honest:
                continue
            print(_line(goal, Attack(honest, 1, invited=options.invited, quorum=options.quorum)))


def _line(goal: Goal, attack: Attack) -> str:
    found = cheapest(goal, attack)
    crowd = replace(attack, origins=1, keys=CROWD, days=MOST_DAYS)
    alone = "yes" if asyncio.run(succeeds(goal, crowd)) else "no"
    cost = (
        f"{found[0]:6}{found[0]:9}{found[1]:6}" if found else f"  more than {MOST_ORIGINS} origins"
    )
    return f"{goal.name:20}{attack.honest:7}{cost}  {alone}"


if __name__ == "__main__":
    main()
