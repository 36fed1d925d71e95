"""Records whose steps cannot have happened together, and the honest ones, which all can."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from collector.consistency import contradictions
from probe.failure import Failure
from probe.lab import cases
from probe.model import Dns, Http, Record, Reply, Step, Tcp, Tls, Transfer
from tests.collector.harness import GOOD, LISTED, fine, record, silent

CASES = Path(__file__).parents[1] / "cases"


def changed(number: int, **changes: object) -> Record:
    """An honest record with one step changed."""
    steps = [replace(one, **changes) if one.id == number else one for one in fine()]
    return record(LISTED, steps)


def test_every_record_of_the_laboratory_is_possible() -> None:
    captured = {name: one for name, one in cases.load(CASES).items() if one.scenario is not None}
    assert len(captured) > 200
    assert {name for name, one in captured.items() if contradictions(one.record)} == set()


@pytest.mark.parametrize("steps", [fine(), silent(), ()])
def test_honest_steps_are_possible(steps: Sequence[Step]) -> None:
    assert contradictions(record(LISTED, steps)) == ()


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (2, {"elapsed": -1.0}),
        (2, {"elapsed": 60.0}),
        (2, {"at": 3600.0}),
        (2, {"elapsed": 1.0, "limit": 3.0, "failure": Failure.TIMEOUT}),
    ],
)
def test_times_outside_the_record_or_the_limit(number: int, changes: dict[str, object]) -> None:
    assert "times" in contradictions(changed(number, **changes))


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (3, {"parent": 17}),
        (3, {"parent": 4}),
        (3, {"address": "198.51.100.9"}),
        (3, {"port": 8443}),
        (2, {"failure": Failure.REFUSED}),
        (2, {"id": 1}),
    ],
)
def test_connections_that_were_never_made(number: int, changes: dict[str, object]) -> None:
    assert "connections" in contradictions(changed(number, **changes))


def test_answers_without_bytes() -> None:
    assert contradictions(changed(3, bytes_in=0)) == ("bytes",)
    assert contradictions(changed(4, bytes_in=0)) == ("bytes",)
    transfer = Transfer(
        id=1, address=GOOD, port=443, arm="A", pair=1, received_bytes=100_000, wire_bytes=1000
    )
    assert contradictions(record(LISTED, (transfer,), experiment="throttle")) == ("bytes",)


def test_an_alert_needs_bytes_only_where_the_peer_sent_it() -> None:
    ours = {"failure": Failure.SSL_HANDSHAKE, "alert": 70, "bytes_in": 0}
    steps = fine()[:2]
    sent = replace(fine()[2], alert_by="us", **ours)
    received = replace(fine()[2], alert_by="peer", **ours)
    assert contradictions(record(LISTED, (*steps, sent))) == ()
    assert contradictions(record(LISTED, (*steps, received))) == ("bytes",)


def test_an_address_that_no_answer_named() -> None:
    strange = tuple(
        replace(one, address="198.51.100.9") if isinstance(one, Tcp | Tls | Http) else one
        for one in fine()
    )
    assert contradictions(record(LISTED, strange)) == ("addresses",)
    # Other experiments connect to addresses of their own list.
    assert contradictions(record(LISTED, strange, experiment="sni")) == ()


def test_an_address_literal_explains_itself() -> None:
    steps = (Tcp(id=1, address=GOOD, port=443, elapsed=0.1, limit=3.0),)
    assert contradictions(record(f"https://{GOOD}/", steps)) == ()
    assert contradictions(record("https://[2606:2800:220:1::1]/", steps)) == ("addresses",)


def test_an_address_of_a_redirect_needs_no_answer() -> None:
    reply = Reply(at=0.01, rcode=0, answers=(GOOD,))
    steps = (
        Dns(id=1, name="listed.example", resolver="system", replies=(reply,), elapsed=0.02),
        Tcp(id=2, hop=1, address="198.51.100.9", port=443, elapsed=0.1, limit=3.0),
    )
    assert contradictions(record(LISTED, steps)) == ()
