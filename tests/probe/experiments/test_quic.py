"""What `quic` sends where, and what follows from it."""

import asyncio
from dataclasses import dataclass, field, replace as with_fields

from msgspec.structs import replace

from probe.experiments import quic
from probe.experiments.interface import Reference, Task
from probe.experiments.operations import DnsQuery, QuicHandshake
from probe.failure import Failure
from probe.judge import judge
from probe.model import Control, Dns, Line, Mechanism, Outcome, Quic, Reply, Role, Steps, Verdict
from probe.reference_data import quic_references
from tests.build import GOOD, HARMLESS, HOST, OTHER, URL, VALID, control, record
from tests.fake_net import FakeNet

TASK = Task(URL, seed=0, harmless=(HARMLESS,))
REFERENCE = quic_references()[0]
OFFERS: dict[str, object] = {"headers": {"alt-svc": 'h3=":443"; ma=86400'}}


@dataclass
class QuicFake(FakeNet):
    """Also QUIC: (address, sni) -> a failure; absent means answered. `records`: HTTPS records."""

    quics: dict[tuple[str, str | None], Failure] = field(default_factory=dict)
    records: tuple[str, ...] = ()

    async def dns(self, query: DnsQuery) -> Dns:
        step = await super().dns(query)
        if query.type != "HTTPS":
            return step
        return replace(step, failure=None, replies=(Reply(at=0.01, rcode=0, alpn=self.records),))

    async def quic(self, handshake: QuicHandshake) -> Quic:
        address, port, sni = handshake.address, handshake.port, handshake.sni
        at = self._tick(f"quic {address}:{port} {sni}")
        failure = self.quics.get((address, sni), self.quics.get((address, None)))
        step = Quic(address=address, port=port, sni=sni, at=at, failure=failure, bytes_out=1200)
        if failure is None:
            return replace(step, bytes_in=3000, datagrams_in=3, trust=VALID)
        return replace(step, icmp=111 if failure is Failure.REFUSED else None)


def net(quics: dict[tuple[str, str | None], Failure] | None = None, **more: object) -> QuicFake:
    names: dict[tuple[str, str], tuple[str, ...] | Failure] = {
        ("system", HOST): (GOOD,),
        ("system", REFERENCE): (OTHER,),
    }
    pages: dict[tuple[str, str, str], dict[str, object] | Failure] = {(GOOD, URL, HOST): OFFERS}
    made = QuicFake(names=names, pages=pages, quics=quics or {})
    return with_fields(made, **more)  # type: ignore[arg-type]


def measured(fake: QuicFake, task: Task = TASK) -> Steps:
    async def run() -> Steps:
        steps = await quic.measure(task, fake)
        return (
            await quic.confirm(task, fake, steps) if quic.needs_confirmation(task, steps) else steps
        )

    return asyncio.run(run())


def verdict(steps: Steps, *controls: Control) -> Verdict:
    made = record(url=URL, experiment="quic", controls=controls, line=Line())
    return judge(replace(made, steps=steps))


def test_a_site_that_offers_nothing_is_sent_nothing() -> None:
    fake = net(pages={})
    steps = measured(fake)
    assert not any(isinstance(s, Quic) for s in steps)
    found = verdict(steps)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.rules[0].id == "quic.not_offered"


def test_a_record_is_enough_and_no_page_is_fetched() -> None:
    fake = net(records=("h3", "h2"), pages={})
    steps = measured(fake)
    assert [s.sni for s in steps if isinstance(s, Quic)] == [HARMLESS, HOST]
    assert not any(asked.startswith("http") for asked in fake.asked)
    assert verdict(steps).outcome is Outcome.OK


def test_a_site_whose_page_is_blocked_is_tried() -> None:
    fake = net(handshakes={(GOOD, HOST): Failure.TIMEOUT})
    assert any(isinstance(s, Quic) for s in measured(fake))


def test_silence_for_the_name_alone_is_blocked_without_any_control() -> None:
    steps = measured(net({(GOOD, HOST): Failure.TIMEOUT}))
    offered = [s.sni for s in steps if isinstance(s, Quic)]
    turns = [HARMLESS, HOST, HARMLESS, HOST, HARMLESS]
    assert offered == [HARMLESS, HOST, REFERENCE, *turns, REFERENCE]
    found = verdict(steps)
    assert found.outcome is Outcome.BLOCKED
    assert found.mechanisms == (Mechanism.QUIC_TIMEOUT,)


def test_an_icmp_error_for_the_name_is_a_refusal() -> None:
    found = verdict(measured(net({(GOOD, HOST): Failure.REFUSED})))
    assert (found.outcome, found.mechanisms) == (Outcome.BLOCKED, (Mechanism.QUIC_REFUSED,))


def test_a_server_that_is_silent_to_every_name_proves_nothing() -> None:
    steps = measured(net({(GOOD, None): Failure.TIMEOUT}))
    found = verdict(steps)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "quic.no_name_is_answered" in {hit.id for hit in found.rules}


def test_an_address_is_blocked_only_where_a_control_was_answered() -> None:
    steps = measured(net({(GOOD, None): Failure.TIMEOUT}))
    shook = Quic(address=GOOD, port=443, sni=HOST, bytes_in=3000, trust=VALID)
    assert verdict(steps, control(shook)).outcome is Outcome.BLOCKED
    alike = replace(shook, failure=Failure.TIMEOUT, bytes_in=0, trust=None)
    assert verdict(steps, control(alike)).outcome is Outcome.DOWN


def test_a_line_without_quic_is_inconclusive() -> None:
    shut: dict[tuple[str, str | None], Failure] = {
        (GOOD, None): Failure.TIMEOUT,
        (OTHER, None): Failure.TIMEOUT,
    }
    shook = Quic(address=GOOD, port=443, sni=HOST, bytes_in=3000, trust=VALID)
    found = verdict(measured(net(shut)), control(shook))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "quic.nowhere_on_this_line" in {hit.id for hit in found.rules}


def test_one_answer_is_ok() -> None:
    fake = net({(GOOD, HOST): Failure.TIMEOUT})

    def recover(what: str) -> None:
        if what.startswith(f"tls {GOOD}"):
            return
        if len([a for a in fake.asked if a == f"quic {GOOD}:443 {HOST}"]) > 1:
            fake.quics.clear()

    fake.before_each = recover
    assert verdict(measured(fake)).outcome is Outcome.OK


def test_a_control_knows_another_address_and_that_there_is_an_offer() -> None:
    shook = Quic(address=OTHER, port=443, sni=HOST, bytes_in=3000, trust=VALID)
    task = replace(TASK, controls=(control(shook),), references=(Reference(URL),))
    steps = measured(net({(GOOD, HOST): Failure.TIMEOUT}), task)
    dialled = {s.address for s in steps if isinstance(s, Quic) and s.role is Role.TARGET}
    assert dialled == {GOOD, OTHER}


def test_nothing_is_sent_without_quic_or_to_a_literal_address() -> None:
    plain = FakeNet(names={("system", HOST): (GOOD,)})
    assert asyncio.run(quic.measure(TASK, plain)) == ()
    assert asyncio.run(quic.measure(replace(TASK, url=f"https://{GOOD}/"), net())) == ()
