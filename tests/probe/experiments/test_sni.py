"""What `sni` offers, and what follows from it."""

import asyncio

from msgspec.structs import replace

from probe.experiments import sni
from probe.experiments.interface import Reference, Task
from probe.failure import Failure
from probe.judge import judge
from probe.model import Mechanism, Outcome, Role, Steps, Tls, Trust
from tests.build import GOOD, HARMLESS, HOST, OTHER, URL, VALID, record
from tests.fake_net import FakeNet

TASK = Task(URL, seed=1, harmless=(HARMLESS,))
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {("system", HOST): (GOOD,)}


def run(net: FakeNet, task: Task = TASK) -> Steps:
    return asyncio.run(sni.measure(task, net))


def test_the_names_take_turns_and_the_harmless_one_is_first_and_last() -> None:
    steps = run(FakeNet(names=NAMES))
    offered = [s.sni for s in steps if isinstance(s, Tls)]
    assert offered == [HARMLESS, HOST, HARMLESS, HOST, HARMLESS]


def test_silence_for_the_name_alone_is_blocked_without_any_control() -> None:
    steps = run(FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.TIMEOUT}))
    verdict = judge(replace(record(url=URL, experiment="sni"), steps=steps))
    assert verdict.outcome is Outcome.BLOCKED
    assert verdict.mechanisms == (Mechanism.TLS_TIMEOUT,)


def test_a_name_that_is_answered_is_ok() -> None:
    steps = run(FakeNet(names=NAMES))
    assert judge(replace(record(url=URL, experiment="sni"), steps=steps)).outcome is Outcome.OK


def test_a_server_that_answers_no_name_proves_nothing() -> None:
    dead: dict[tuple[str, str | None], Failure] = {
        (GOOD, HOST): Failure.TIMEOUT,
        (GOOD, HARMLESS): Failure.TIMEOUT,
    }
    steps = run(FakeNet(names=NAMES, handshakes=dict(dead)))
    verdict = judge(replace(record(url=URL, experiment="sni"), steps=steps))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_configured_address_asks_no_resolver() -> None:
    net = FakeNet()
    steps = run(net, replace(TASK, options={"address": OTHER}))
    assert {s.address for s in steps if isinstance(s, Tls)} == {OTHER}
    assert not any(asked.startswith("dns") for asked in net.asked)


def test_other_hellos_are_tried_only_when_the_name_failed() -> None:
    quiet = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})
    hellos = {s.hello for s in run(quiet) if isinstance(s, Tls) and s.role is Role.NEUTRAL}
    assert hellos == {"tls12", "tls13", "split"}
    assert not any(s.role is Role.NEUTRAL for s in run(FakeNet(names=NAMES)))


# Another key than at the target's address: another operator.
ANOTHERS = replace(VALID, leaf_key="another's")


def offered_elsewhere(net: FakeNet) -> Steps:
    net.handshakes.update({(OTHER, HARMLESS): ANOTHERS})
    task = replace(TASK, references=(Reference("https://ref.example/", OTHER),))
    return run(net, task)


def test_a_name_that_its_own_server_resets_is_offered_to_an_unrelated_one() -> None:
    steps = offered_elsewhere(FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET}))
    there = [(s.sni, s.role) for s in steps if isinstance(s, Tls) and s.address == OTHER]
    asked = [one for one in there if one[1] is not Role.REFERENCE]
    assert asked == [
        (HARMLESS, Role.HARMLESS),
        (HOST, Role.NEUTRAL),
        (HARMLESS, Role.HARMLESS),
    ]
    verdict = judge(replace(record(url=URL, experiment="sni"), steps=steps))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_name_that_an_unrelated_server_never_gets_is_blocked() -> None:
    reset: dict[tuple[str, str | None], Failure | Trust] = {
        (GOOD, HOST): Failure.RESET,
        (OTHER, HOST): Failure.RESET,
    }
    steps = offered_elsewhere(FakeNet(names=NAMES, handshakes=reset))
    verdict = judge(replace(record(url=URL, experiment="sni"), steps=steps))
    assert (verdict.outcome, verdict.confidence) == (Outcome.BLOCKED, 0.95)


def test_a_name_that_is_answered_is_offered_nowhere_else() -> None:
    steps = offered_elsewhere(FakeNet(names=NAMES))
    assert not any(s.role is Role.NEUTRAL for s in steps)
