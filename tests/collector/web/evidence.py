"""A collector with events that rest on signed records: blocked, intercepted, cut."""

import time
from dataclasses import dataclass
from typing import Any

from collector.events import storage
from collector.events.model import Bracket, EventState, TargetEvent
from collector.events.reconcile import Revision, StoredEvent
from collector.store import Operation
from collector.store.interface import Execute
from probe.failure import Failure
from probe.model import Mechanism, Outcome, Ping, Record, Role, Step, Tcp, Tls, Trust, Vantage
from probe.reference_data import Order
from tests.collector.harness import (
    GOOD,
    LISTED,
    OTHER,
    CollectorHarness,
    fine,
    now,
    record,
    silent,
)

HOUR = 3600.0
HOSTILE = "<script>alert(1)</script>"
NETWORKS = (
    (9198, "JSC Kazakhtelecom"),
    (206026, "Kar-Tel LLC (Beeline)"),
    (29355, "Kcell JSC"),
    (48503, "Mobile Telecom-Service LLP (Tele2/Altel)"),
)
LOOKS, EVERY = 12, 2.3
# More than a week ago, so that detection does not judge it again.
CUT_AGO = 12 * 86_400
OPEN_AGO = 10 * 86_400
OPEN_PORTS = (179, 3785, 5060, 443)
SHUTDOWN, WHITELIST, NATIONAL = "5d0000000001", "5d0000000002", "5d0000000003"
# A shutdown during which probes found open ports.
OPEN = "5d0000000004"
CUT_PROBES = 5


@dataclass(frozen=True)
class Evidence:
    """The ids of what there is, and the keys that measured it."""

    blocked: str
    intercepted: str
    wave: str
    keys: tuple[str, ...]

    def pages(self) -> dict[str, str]:
        """The pages that show it."""
        return {
            "blocked": f"/e/{self.blocked}",
            "intercepted": f"/e/{self.intercepted}",
            "shutdown": f"/e/{SHUTDOWN}",
            "open_ports": f"/e/{OPEN}",
            "wave": f"/w/{self.wave}",
            "chart_clock": f"/w/{self.wave}/chart/clock",
            "chart_cut": f"/e/{OPEN}/chart/cut",
            "interceptions": "/interceptions",
            "outages": "/outages",
        }


def forged(host: str) -> tuple[Step, ...]:
    """The steps of a measurement that is served a forged certificate, with hostile names in it."""
    lookup, connect, *_ = fine(host)
    trust = Trust(
        valid=False,
        named=True,
        subject=f"CN={host}",
        issuer=f"CN={HOSTILE}",
        issuer_key="11" * 32,
        leaf_key="22" * 32,
        not_before="2026-11-01T00:00:00Z",
        not_after="2027-01-01T00:00:00Z",
        serial="0a1b",
    )
    served = Tls(
        id=3,
        parent=2,
        address=GOOD,
        port=443,
        sni=host,
        bytes_out=517,
        bytes_in=4000,
        chain=("ab" * 32, "cd" * 32),
        trust=trust,
        elapsed=0.1,
    )
    own = Trust(
        valid=True,
        named=True,
        anchored=True,
        subject=f"CN={host}",
        issuer="CN=An invented public authority",
        issuer_key="33" * 32,
        leaf_key="44" * 32,
        not_before="2026-10-01T00:00:00Z",
        not_after="2026-12-30T00:00:00Z",
        serial="77c1",
    )
    # The site's own, which passes where the name is cut over two packets.
    split = Tls(
        id=4,
        parent=2,
        at=0.2,
        address=GOOD,
        port=443,
        sni=host,
        hello="split",
        bytes_out=517,
        bytes_in=4000,
        chain=("ef" * 32,),
        trust=own,
        elapsed=0.1,
    )
    return (lookup, connect, served, split)


def _looks(place: int, probe: int) -> list[Record]:
    """The records of one probe: networks begin to block one after another."""
    asn, name = NETWORKS[place]
    vantage = Vantage(country="KZ", asn=asn, region="KZ-75", network=name, version="0.1.0")
    made = []
    for n in range(LOOKS):
        at = now(-(LOOKS - n) * EVERY * HOUR - probe * 1300)
        bad = n >= 5 + place
        steps = silent() if bad else fine()
        outcome = Outcome.BLOCKED if bad else Outcome.OK
        how = (Mechanism.TLS_TIMEOUT,) if bad else ()
        common: dict[str, Any] = {"started_at": at, "vantage": vantage}
        made.append(record(LISTED, steps, outcome=outcome, mechanisms=how, **common))
        if place == 0 and n >= 6:
            mitm = (Mechanism.TLS_MITM,)
            steps = forged("other.example")
            outcome = Outcome.INTERCEPTED
            made.append(record(OTHER, steps, outcome=outcome, mechanisms=mitm, **common))
        elif place == 0:
            made.append(record(OTHER, **common))
    return made


def _line(place: int, probe: int) -> list[Record]:
    """Measurements of connectivity by one probe: the border is cut, and two ports stay open."""
    asn, name = NETWORKS[place]
    vantage = Vantage(country="KZ", asn=asn, region="KZ-75", network=name, version="0.1.0")
    made = []
    for half in range(-3, 9):
        is_cut = 0 <= half < 6
        at = now(-OPEN_AGO + half * HOUR / 2 + probe * 120)
        steps: list[Step] = [
            Tcp(
                id=n,
                at=2.0,
                address=GOOD,
                port=port,
                role=Role.NEUTRAL,
                failure=None if port in {179, 5060} else Failure.TIMEOUT,
                elapsed=0.2,
            )
            for n, port in enumerate(OPEN_PORTS, 1)
        ]
        steps.append(Ping(id=9, at=1.0, what="resolver", failure=Failure.TIMEOUT, elapsed=6.0))
        how = (Mechanism.ACCESS_FOREIGN_CUT,) if is_cut else ()
        outcome = Outcome.BLOCKED if is_cut else Outcome.OK
        common: dict[str, Any] = {"started_at": at, "vantage": vantage, "elapsed": 30.0}
        common["experiment"] = "connectivity"
        tried = tuple(steps) if is_cut else ()
        made.append(record("", tried, outcome=outcome, mechanisms=how, **common))
    return made


async def fill(harness: CollectorHarness, *, probes: int = 3) -> Evidence:
    """Send the records, and store the cuts."""
    keys = []
    for place in range(len(NETWORKS)):
        for probe in range(probes):
            sender = await harness.probe()
            keys.append(sender.key_id)
            await sender.send(*_looks(place, probe))
            if place == len(NETWORKS) - 1:
                await sender.send(*_line(place, probe))
    open_since = time.time() - OPEN_AGO
    cut = _cut(OPEN, "shutdown", NETWORKS[-1][0], open_since, probes)
    await harness.service.store.write(storage.put([cut]))
    await harness.service.store.write(_cuts((time.time() - CUT_AGO) // HOUR * HOUR))
    events = (await harness.ask("GET", "/v1/events")).data["events"]
    by = {(one["kind"], one["asn"]): one for one in events}
    blocked = by["blocking", 9198]
    return Evidence(blocked["id"], by["interception", 9198]["id"], blocked["group"], tuple(keys))


async def order(harness: CollectorHarness) -> Order:
    """An invented order, from the last look before the first network blocked."""
    events = (await harness.ask("GET", "/v1/events?kind=blocking")).data["events"]
    first = min(one["began"]["after"] for one in events)
    return Order("KZ", "An invented authority", "17", first, ("listed.example",))


def _cuts(began: float) -> Operation[None]:
    """A shutdown with heartbeats, reports and looks, one of the country, and a white list."""
    first, keys = int(began // HOUR), [f"{n:032x}" for n in range(CUT_PROBES)]
    yield Execute(
        "beat_add",
        [
            {
                "key_id": key,
                "hour": hour,
                "country": "KZ",
                "asn": 9198,
                "heard": 0 if first <= hour < first + 3 else 0xFFF,
                "cut": 0xFFF if first <= hour < first + 3 and n < 2 else 0,
                "missed": 0,
            }
            for n, key in enumerate(keys)
            for hour in range(first - 4, first + 8)
        ],
    )
    yield Execute(
        "series_add",
        [
            {
                "key_id": key,
                "id": f"line{n}{half}",
                "experiment": "connectivity",
                "target": "",
                "at": began + half * HOUR / 2 + n * 100,
                "country": "KZ",
                "asn": 9198,
                "outcome": "blocked" if 0 <= half < 6 else "ok",
                "mechanisms": _mechanism(half),
                "rate_target": None,
                "rate_reference": None,
                "foreign_alive": None,
                "domestic_alive": None,
            }
            for n, key in enumerate(keys[:3])
            for half in range(-3, 9)
        ],
    )
    yield from storage.put(
        [
            _cut(SHUTDOWN, "shutdown", 9198, began, CUT_PROBES),
            _cut(WHITELIST, "whitelist", 29355, began + HOUR, 2),
            _cut(NATIONAL, "shutdown", 0, began + 2 * HOUR, 9),
        ]
    )


def _mechanism(half: int) -> str:
    if not 0 <= half < 6:
        return ""
    return "access.whitelist" if half > 3 else "access.foreign_cut"


def _cut(id_: str, kind: str, asn: int, began: float, probes: int) -> StoredEvent:
    ended = began + 3 * HOUR
    return StoredEvent(
        id=id_,
        opened_at=began + 600,
        published_at=began + 600,
        history=(
            Revision(began + 600, "opened as confirmed"),
            Revision(ended, "confirmed → ended"),
        ),
        event=TargetEvent(
            kind=kind,
            target="",
            country="KZ",
            asn=asn,
            state=EventState.ENDED,
            began=Bracket(began - 200, began + 100),
            ended=Bracket(ended - 300, ended),
            last_seen_at=ended - 300,
            last_look_at=ended,
            confirmed_at=began + 600,
            mechanisms=(),
            authority="",
            agree=probes,
            able=probes,
            confidence=0.95,
            evidence=(),
            sources=("silence", "spool"),
        ),
    )
