"""Constructed records whose steps get the verdicts that the dashboards show."""

import urllib.parse
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from probe import model, uuid7
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Http, Line, Record, Role, Steps, Tcp, Tls, Transfer, Trust

BLOCKED, INTERCEPTED, FINE = "https://meduza.io/", "https://mail.ru/", "https://egov.kz/"


def name_of(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or ""


def add_lookup(steps_log: StepLog, url: str, address: str) -> None:
    reply = model.Reply(at=0.01, rcode=0, answers=(address,), ttl=(60,))
    steps_log.add(
        Dns(name=name_of(url), resolver="system", replies=(reply,), elapsed=0.02, limit=3.0)
    )


def add_handshake(steps_log: StepLog, address: str, sni: str, at: float, **rest: Any) -> int:
    """A connection and a handshake on it; the number of the handshake."""
    role = rest.pop("role", Role.TARGET)
    try_ = rest.pop("try_", 1)
    tls = {"bytes_out": 517, "bytes_in": 4000, "version": "TLSv1.3", "elapsed": 0.09, **rest}
    added = steps_log.chain(
        (
            Tcp(address=address, port=443, at=at, elapsed=0.05, limit=3.0),
            Tls(address=address, port=443, sni=sni, at=at + 0.05, limit=3.0, **tls),
        ),
        role=role,
        try_=try_,
    )
    return added[-1].id


def blocked(url: str) -> Steps:
    """The name goes unanswered, twice; a harmless one answers at the same address around it."""
    steps_log, address, host = StepLog(), "203.0.113.10", name_of(url)
    add_lookup(steps_log, url, address)
    silent = {"failure": Failure.TIMEOUT, "bytes_in": 0, "version": None, "elapsed": 3.0}
    add_handshake(steps_log, address, host, 0.1, **silent)
    add_handshake(steps_log, address, "www.example.com", 4.0, role=Role.HARMLESS)
    add_handshake(steps_log, address, host, 5.0, try_=2, **silent)
    add_handshake(steps_log, address, "www.example.com", 9.0, role=Role.HARMLESS, try_=2)
    return steps_log.steps


def page(steps_log: StepLog, url: str, address: str, trust: Trust, *, proven: bool) -> Steps:
    add_lookup(steps_log, url, address)
    parent = add_handshake(steps_log, address, name_of(url), 0.1, trust=trust, chain=("ab" * 32,))
    answer = Http(
        url=url,
        address=address,
        port=443,
        host=name_of(url),
        proven=proven,
        status=200,
        received_bytes=5000,
        bytes_in=5300,
        complete=True,
        at=0.3,
        elapsed=0.2,
        limit=10.0,
    )
    if proven:
        steps_log.add(answer, parent=parent)
    return steps_log.steps


def fine(url: str) -> Steps:
    trust = Trust(valid=True, anchored=True, named=True, subject="CN=x", issuer="CN=y")
    return page(StepLog(), url, "203.0.113.20", trust, proven=True)


def intercepted(url: str) -> Steps:
    authority = model.Authority(id="kz.qaznet.2016", kind="interception", proof="verified")
    trust = Trust(
        valid=False,
        reason=model.TrustReason.UNKNOWN_AUTHORITY,
        named=True,
        issuer="CN=Qaznet Trust Network,C=KZ",
        issuer_key="cd" * 32,
        authority=authority,
        local=False,
    )
    return page(StepLog(), url, "203.0.113.30", trust, proven=False)


def throttled(url: str) -> Steps:
    """Five pairs of transfers; the target's name gets a tenth of what the other name gets."""
    steps_log = StepLog()
    for pair in range(1, 6):
        for arm, sni, rate in (
            ("B", "www.example.com", 2_000_000.0),
            ("A", name_of(url), 60_000.0),
        ):
            transfer = Transfer(
                address="203.0.113.40",
                port=443,
                sni=sni,
                arm=arm,  # type: ignore[arg-type]
                pair=pair,
                asked_bytes=262_144,
                received_bytes=262_144,
                wire_bytes=266_000,
                ended="full",
                rate=rate + pair,
                connect_seconds=0.05,
                handshake_seconds=0.09,
                first_byte_seconds=0.05,
                at=pair * 10.0,
                elapsed=262_144 / rate,
                limit=20.0,
            )
            steps_log.add(transfer, role=Role.NEUTRAL)
    return steps_log.steps


LINE = Line(
    alive_before=True,
    alive_after=True,
    references=8,
    trusted_names=6,
    round_trip=0.05,
    foreign_alive=1.0,
    domestic_alive=1.0,
)


def record(url: str, steps: Steps, *, run: str, experiment: str = "web") -> Record:
    return Record(
        id=uuid7.new(),
        run=run,
        experiment=experiment,
        input=url,
        category="NEWS",
        lab=True,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        elapsed=12.0,
        vantage=model.Vantage(
            country="KZ",
            asn=9198,
            asn_source="config",
            network="Kazakhtelecom",
            region="KZ-75",
            platform="linux",
            version="0.1.0",
        ),
        steps=steps,
        line=LINE,
    )


def earlier(url: str, steps: Steps, hours: float) -> Record:
    """A measurement of some hours ago, in a run of its own."""
    at = datetime.now(UTC) - timedelta(hours=hours)
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.structs.replace(record(url, steps, run=uuid7.new()), started_at=text)


def everything() -> list[Record]:
    run = uuid7.new()
    facts = model.RunFacts(targets=4, measured=4)
    own = record("", (), run=run, experiment="run")
    slow = record(BLOCKED, throttled(BLOCKED), run=run, experiment="throttle")
    return [
        record(BLOCKED, blocked(BLOCKED), run=run),
        record(INTERCEPTED, intercepted(INTERCEPTED), run=run),
        record(FINE, fine(FINE), run=run),
        # As long as its steps, or the collector would doubt it.
        msgspec.structs.replace(slow, elapsed=60.0),
        msgspec.structs.replace(own, facts=facts),
    ]
