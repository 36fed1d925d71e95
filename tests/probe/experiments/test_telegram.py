"""Telegram's endpoints and first message, and what all services share."""

import struct

from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe.analysis.service_attempts import attempts, by_part
from probe.experiments import telegram
from probe.experiments.interface import Reference, Task
from probe.failure import Failure
from probe.lab.tunnels import mtproto
from probe.model import Dns, Ping, Role, Steps, Tls
from probe.reference_data import endpoints
from tests.build import GOOD, HARMLESS, OTHER
from tests.fake_net import FakeNet
from tests.probe import talking
from tests.probe.talking import TalkingNet

WEB = "web.telegram.org"
CENTRES = next(one for one in endpoints("telegram") if one.addresses)
TASK = Task("service:telegram", seed=1, harmless=(HARMLESS,))
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {
    ("system", WEB): (GOOD,),
    ("1.1.1.1", WEB): (GOOD,),
}
QUESTION = telegram.req_pq(bytes(range(96)), 1_800_000_000.25)


def first(net: FakeNet, task: Task = TASK) -> Steps:
    return talking.first(telegram.EXPERIMENT, task, net)


def both(net: FakeNet, task: Task = TASK) -> Steps:
    return talking.both(telegram.EXPERIMENT, task, net)


def wanted(steps: Steps) -> bool:
    ask = telegram.EXPERIMENT.needs_confirmation
    assert ask is not None
    return ask(TASK, steps)


def test_the_question_is_as_the_protocol_has_it() -> None:
    assert QUESTION[:8] == b"\xee\xee\xee\xee" + struct.pack("<i", 40)
    key, message_id, size, constructor = struct.unpack("<qqiI", QUESTION[8:32])
    assert (key, size, constructor) == (0, 20, 0xBE7E8EF1)
    assert message_id >> 32 == 1_800_000_000
    assert message_id % 4 == 0
    assert len(QUESTION) == 48


def test_the_answer_repeats_our_number() -> None:
    answer = mtproto(QUESTION)
    assert answer is not None
    assert telegram.is_answer(QUESTION, answer)
    assert not telegram.is_answer(telegram.req_pq(bytes(96), 1.0), answer)
    assert not telegram.is_answer(QUESTION, answer[:40])


@given(st.binary(max_size=120))
def test_nothing_else_is_taken_for_an_answer(received: bytes) -> None:
    assert not telegram.is_answer(QUESTION, received)


def test_every_data_centre_is_asked_on_every_port_and_the_web_proves_its_name() -> None:
    net = TalkingNet(names=NAMES)
    every = by_part(attempts(first(net)))
    assert len(every["data centres"]) == len(CENTRES.addresses) * len(CENTRES.ports)
    assert [one.endpoint for one in every["web"]] == [(WEB, 443)]
    assert all(one.proven for found in every.values() for one in found)
    assert not wanted(first(net))


def test_a_quick_profile_tries_some() -> None:
    every = by_part(attempts(first(TalkingNet(names=NAMES), replace(TASK, profile="quick"))))
    assert len(every["data centres"]) == 4 * len(CENTRES.ports)


def test_a_certificate_for_browsers_is_asked_of_the_web_alone() -> None:
    net = TalkingNet(names=NAMES, handshakes={(GOOD, WEB): Failure.SSL_AUTHORITY})
    (attempt,) = by_part(attempts(first(net)))["web"]
    assert attempt.failure is Failure.SSL_AUTHORITY
    assert not attempt.proven


def test_what_failed_is_tried_again_between_references() -> None:
    dead = CENTRES.addresses[0]
    net = TalkingNet(names=NAMES, dead={dead})
    references = (Reference("https://ref.example/", OTHER),)
    steps = both(net, replace(TASK, references=references))
    again = [one for one in attempts(steps) if one.summary.try_ == 2]
    assert {one.endpoint[0] for one in again} == {dead}
    assert len(again) == len(CENTRES.ports)
    assert [s.sni for s in steps if isinstance(s, Tls) and s.role is Role.REFERENCE] == [
        "ref.example"
    ] * 2


def test_a_name_is_compared_with_a_harmless_one_at_its_address() -> None:
    net = TalkingNet(names=NAMES, handshakes={(GOOD, WEB): Failure.TIMEOUT})
    steps = both(net)
    offered = [s.sni for s in steps if isinstance(s, Tls) and s.try_ == 2]
    assert offered == [HARMLESS, WEB, HARMLESS]


def test_a_name_without_an_answer_is_tried_at_other_resolvers_address() -> None:
    names: dict[tuple[str, str], tuple[str, ...] | Failure] = {
        **NAMES,
        ("system", WEB): Failure.DNS_NXDOMAIN,
    }
    steps = both(TalkingNet(names=names))
    every = by_part(attempts(steps))["web"]
    assert [one.endpoint for one in every] == [(WEB, None)] * 2
    assert {one.failure for one in every} == {Failure.DNS_NXDOMAIN}
    assert [s.address for s in steps if isinstance(s, Tls) and s.role is Role.NEUTRAL] == [GOOD]
    assert any(isinstance(s, Dns) and s.resolver == "8.8.8.8" for s in steps)


def test_a_private_answer_is_not_dialled() -> None:
    net = TalkingNet(names={("system", WEB): ("10.0.0.1",)})
    (attempt,) = by_part(attempts(first(net)))["web"]
    assert attempt.failure is Failure.DNS_NO_ANSWER
    assert not any("10.0.0.1" in asked for asked in net.asked)


def test_a_net_without_exchanges_connects() -> None:
    steps = first(FakeNet(names=NAMES))
    centres = by_part(attempts(steps))["data centres"]
    assert all(one.failure is None and not one.proven for one in centres)
    assert not any(isinstance(s, Ping) and s.what == "mtproto" for s in steps)
