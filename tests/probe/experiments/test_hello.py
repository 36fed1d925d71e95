"""Which hellos `hello` sends, and what follows from the answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from probe.experiments import hello
from probe.experiments.interface import Task
from probe.experiments.operations import TlsHandshake
from probe.failure import Failure
from probe.judge import judge
from probe.model import Mechanism, Outcome, Steps, Tcp, Tls, Verdict
from tests.build import GOOD, HARMLESS, HOST, URL, record
from tests.fake_net import FakeNet

TASK = Task(URL, seed=0, harmless=(HARMLESS,))
Fate = Callable[[str | None, str], Failure | None]


@dataclass
class Shapes(FakeNet):
    """The failure of each (name, hello)."""

    fate: Fate = field(default=lambda _name, _hello: None)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        tcp, tls = await super().tls(handshake)
        failure = self.fate(handshake.sni, handshake.hello)
        if tls is None or failure is None:
            return tcp, tls
        got = 7 if failure is Failure.SSL_HANDSHAKE else 0
        return tcp, replace(tls, failure=failure, bytes_in=got, trust=None)


def measured(fate: Fate) -> Steps:
    net = Shapes(names={("system", HOST): (GOOD,)}, fate=fate)

    async def run() -> Steps:
        steps = await hello.measure(TASK, net)
        return (
            await hello.confirm(TASK, net, steps)
            if hello.needs_confirmation(TASK, steps)
            else steps
        )

    return asyncio.run(run())


def verdict(steps: Steps) -> Verdict:
    return judge(replace(record(url=URL, experiment="hello"), steps=steps))


def reasons(found: Verdict) -> dict[str, str]:
    return {hit.id: hit.reason for hit in found.rules}


def test_each_hello_is_sent_between_harmless_ones() -> None:
    steps = [s for s in measured(lambda _n, _h: None) if isinstance(s, Tls)]
    assert [s.sni for s in steps] == [HARMLESS, HOST, HARMLESS] * len(hello.HELLOS)
    assert tuple(s.hello for s in steps[::3]) == hello.HELLOS
    assert verdict(tuple(steps)).outcome is Outcome.OK


def test_a_middlebox_that_reads_whole_segments_is_found_by_the_split_hello() -> None:
    steps = measured(lambda n, h: Failure.TIMEOUT if n == HOST and h != "split" else None)
    found = verdict(steps)
    assert (found.outcome, found.mechanisms) == (Outcome.BLOCKED, (Mechanism.TLS_TIMEOUT,))
    assert "passing: split." in reasons(found)["hello.only_some_stopped"]


def test_a_name_that_is_blocked_in_every_hello() -> None:
    found = verdict(measured(lambda n, _: Failure.RESET if n == HOST else None))
    assert found.mechanisms == (Mechanism.TLS_RESET,)
    assert "hello.every_one_stopped" in reasons(found)


def test_a_shape_that_is_blocked_for_every_name_is_not_blocking_of_the_name() -> None:
    found = verdict(measured(lambda _, h: Failure.TIMEOUT if h == "ech" else None))
    assert (found.outcome, found.mechanisms) == (Outcome.OK, ())
    assert "ech" in reasons(found)["hello.stopped_for_any_name"]


def test_a_server_of_one_tls_version_is_no_interference() -> None:
    found = verdict(measured(lambda _, h: Failure.SSL_HANDSHAKE if h == "tls13" else None))
    assert found.outcome is Outcome.OK
    assert set(reasons(found)) == {"hello.usual_one_answered"}


def test_a_dead_server_is_inconclusive() -> None:
    assert verdict(measured(lambda _n, _h: Failure.TIMEOUT)).outcome is Outcome.INCONCLUSIVE


def test_an_address_that_is_blocked_after_one_hello_is_left_alone() -> None:
    offered = []

    def fate(name: str | None, _: str) -> Failure | None:
        offered.append(name)
        return Failure.TIMEOUT if HOST in offered else None

    steps = measured(fate)
    first = [s for s in steps if isinstance(s, Tls) and s.try_ == 1]
    assert [s.sni for s in first] == [HARMLESS, HOST, HARMLESS, HARMLESS]
    assert {s.hello for s in steps if isinstance(s, Tls)} == {"default"}
    found = verdict(steps)
    assert (found.outcome, found.rules[0].id) == (Outcome.INCONCLUSIVE, "hello.stopped_once")


def test_nothing_is_sent_for_an_address_or_without_harmless_names() -> None:
    for task in (replace(TASK, url=f"https://{GOOD}/"), replace(TASK, harmless=())):
        assert asyncio.run(hello.measure(task, FakeNet(names={("system", HOST): (GOOD,)}))) == ()
