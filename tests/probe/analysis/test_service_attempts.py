"""The record of a service, read attempt by attempt."""

from msgspec.structs import replace

from probe.analysis.service_attempts import attempts, by_endpoint, by_part
from probe.failure import Failure
from probe.model import Ping
from probe.reference_data import endpoints, services
from tests.build import GOOD
from tests.probe.rules.service_records import (
    NAME,
    asked,
    denied,
    dialled,
    named,
    numbered,
    own,
)


def test_an_attempt_is_its_summary_and_its_chain_of_steps() -> None:
    (attempt,) = attempts(numbered((named(part="calls"),)))
    assert attempt.part == "calls"
    assert attempt.endpoint == (NAME, 443)
    assert attempt.dns is not None
    assert attempt.tls is not None
    assert attempt.tls.sni == NAME
    assert attempt.failure is None


def test_a_name_without_an_address_has_no_port() -> None:
    (attempt,) = attempts(numbered((denied(),)))
    assert attempt.endpoint == (NAME, None)
    assert attempt.failure is Failure.DNS_NXDOMAIN


def test_each_address_and_port_is_one_endpoint() -> None:
    every = attempts(numbered((dialled(), dialled(port=5222), asked())))
    assert list(by_endpoint(every)) == [(GOOD, 443), (GOOD, 5222)]
    assert [attempt.proven for attempt in every] == [False, False, True]


def test_an_own_server_is_its_summary_alone() -> None:
    (attempt,) = attempts(numbered((own("peer 1"),)))
    assert attempt.own
    assert attempt.proven
    assert attempt.endpoint == ("peer 1", None)


def test_a_public_part_may_have_an_own_server_s_label() -> None:
    (attempt,) = attempts(numbered((dialled(part="peers"),)))
    assert not attempt.own
    assert list(by_part([attempt])) == ["peers"]


def test_circular_parents_end() -> None:
    steps = numbered((dialled(),))
    circle = (replace(steps[0], parent=steps[0].id), *steps[1:])
    (attempt,) = attempts(circle)
    assert len(attempt.steps) < 10
    lost = Ping(id=7, what="web", parent=99)
    assert attempts((lost,))[0].steps == ()


def test_facts_of_services_are_complete() -> None:
    assert set(services()) >= {"telegram", "whatsapp", "signal", "messenger", "tor"}
    for name in services():
        for one in endpoints(name):
            assert one.ports
            assert one.source
            assert bool(one.names) != bool(one.addresses)
            assert not one.part.startswith(("bridge", "endpoint", "peer"))
