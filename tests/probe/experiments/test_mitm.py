"""Where `mitm` offers the name, and what follows from the answers."""

import asyncio

from msgspec.structs import replace

from probe.experiments import mitm
from probe.experiments.interface import Reference, Task
from probe.failure import Failure
from probe.judge import judge
from probe.model import Line, Outcome, Record, Role, Steps, Tls, Trust, TrustReason
from tests.build import FORGED, GOOD, HARMLESS, HOST, KNOWN, OTHER, URL, record
from tests.fake_net import FakeNet

REFERENCE = Reference("https://ref.example/", OTHER)
TASK = Task(URL, seed=1, harmless=(HARMLESS,), references=(REFERENCE,))
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {("system", HOST): (GOOD,)}
DEFAULT = Trust(
    valid=False, reason=TrustReason.SELF_SIGNED, issuer_key="snakeoil", leaf_key="snakeoil"
)


COLLECTOR = "198.51.100.9"
LISTENS = "collector.example"


def run(handshakes: dict[tuple[str, str | None], Failure | Trust], task: Task = TASK) -> Steps:
    net = FakeNet(names={**NAMES, ("system", LISTENS): (COLLECTOR,)}, handshakes=handshakes)

    async def both_looks() -> Steps:
        return await mitm.confirm(task, net, await mitm.measure(task, net))

    return asyncio.run(both_looks())


def judged(steps: Steps) -> Record:
    made = replace(record(url=URL, experiment="mitm", line=Line()), steps=steps)
    return replace(made, verdict=judge(made))


def outcome(steps: Steps) -> Outcome:
    verdict = judged(steps).verdict
    assert verdict is not None
    return verdict.outcome


def test_the_name_is_offered_at_its_own_address_elsewhere_and_in_every_way() -> None:
    steps = run({})
    own = [s for s in steps if isinstance(s, Tls) and s.sni == HOST]
    assert {s.hello for s in own if s.address == GOOD} == {"default", *mitm.WAYS}
    assert any(s.address == OTHER and s.role is Role.NEUTRAL for s in own)
    assert any(s.port == mitm.OTHER_PORT for s in own)
    assert outcome(steps) is Outcome.OK
    assert all(mitm.needs_confirmation(TASK, some) is bool(some) for some in (steps, ()))


def test_the_measurement_is_at_the_own_address_and_the_confirmation_ends_there() -> None:
    net = FakeNet(names=NAMES)
    first = asyncio.run(mitm.measure(TASK, net))
    assert {s.address for s in first if isinstance(s, Tls)} == {GOOD}
    second = asyncio.run(mitm.confirm(TASK, net, first))
    assert second[: len(first)] == first
    assert [s.address for s in second if isinstance(s, Tls)][-1] == GOOD


def test_the_collectors_own_port_is_an_endpoint_where_it_has_tls() -> None:
    task = replace(TASK, options={"collectors": ((LISTENS, 8443), ("192.0.2.9", 443))})
    offered = [s for s in run({}, task) if isinstance(s, Tls) and s.address != GOOD]
    own = [(s.role, s.sni, s.port) for s in offered if s.address == COLLECTOR]
    assert own == [
        (Role.HARMLESS, HARMLESS, 8443),
        (Role.NEUTRAL, HOST, 8443),
        (Role.REFERENCE, LISTENS, 8443),
    ]
    bare = [(s.role, s.sni) for s in offered if s.address == "192.0.2.9"]
    assert bare == [(Role.HARMLESS, HARMLESS), (Role.NEUTRAL, HOST)]


def test_invalid_options_and_literal_addresses_are_ignored() -> None:
    assert run({}, replace(TASK, options={"collectors": "https://x.example/"}))
    assert run({}, replace(TASK, url="https://192.0.2.7/")) == ()


def test_nothing_is_ever_asked_inside_a_session() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): KNOWN, (OTHER, HOST): KNOWN})
    first = asyncio.run(mitm.measure(TASK, net))
    asyncio.run(mitm.confirm(TASK, net, first))
    assert {asked.split()[0] for asked in net.asked} == {"dns", "tcp", "tls"}


def test_a_known_key_anywhere_is_interception() -> None:
    assert outcome(run({(GOOD, HOST): KNOWN})) is Outcome.INTERCEPTED


def test_the_name_alone_triggers_an_interceptor_at_an_unrelated_server() -> None:
    wrong = replace(FORGED, reason=TrustReason.HOSTNAME, anchored=True, named=False)
    theirs = replace(wrong, issuer_key="root", leaf_key="theirs")
    seen: dict[tuple[str, str | None], Failure | Trust] = {
        (OTHER, HOST): FORGED,
        (OTHER, HARMLESS): theirs,
    }
    assert outcome(run(seen)) is Outcome.INTERCEPTED


def test_a_servers_own_default_certificate_is_no_interception() -> None:
    steps = run({(OTHER, HOST): DEFAULT, (OTHER, HARMLESS): DEFAULT})
    assert outcome(steps) is Outcome.OK


def test_the_same_server_proving_itself_to_another_name_is_proof() -> None:
    wrong = replace(FORGED, reason=TrustReason.HOSTNAME, anchored=True, named=False)
    own = replace(wrong, subject=f"CN={HOST}")
    steps = run({(GOOD, HOST): FORGED, (GOOD, HARMLESS): own})
    assert outcome(steps) is Outcome.INTERCEPTED
