"""Where `mitm` offers the name, and what follows from what comes back."""

import asyncio

from msgspec.structs import replace as change

from probe.experiments import mitm
from probe.experiments.port import Reference, Task
from probe.failure import Failure
from probe.infer import judge
from probe.model import Line, Outcome, Record, Role, Steps, Tls, Trust, TrustReason
from tests.build import FORGED, GOOD, HARMLESS, HOST, KNOWN, OTHER, URL, record
from tests.fake_net import FakeNet

REFERENCE = Reference("https://ref.example/", OTHER)
TASK = Task(URL, seed=1, harmless=(HARMLESS,), references=(REFERENCE,))
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {("system", HOST): (GOOD,)}
DEFAULT = Trust(
    valid=False, reason=TrustReason.SELF_SIGNED, issuer_key="snakeoil", leaf_key="snakeoil"
)


def run(handshakes: dict[tuple[str, str | None], Failure | Trust]) -> Steps:
    return asyncio.run(mitm.measure(TASK, FakeNet(names=NAMES, handshakes=handshakes)))


def judged(steps: Steps) -> Record:
    made = change(record(url=URL, experiment="mitm", line=Line()), steps=steps)
    return change(made, verdict=judge(made))


def outcome(steps: Steps) -> Outcome:
    verdict = judged(steps).verdict
    assert verdict is not None
    return verdict.outcome


def test_the_name_is_offered_at_home_elsewhere_and_in_every_way() -> None:
    steps = run({})
    own = [s for s in steps if isinstance(s, Tls) and s.sni == HOST]
    assert {s.hello for s in own if s.address == GOOD} == {"default", "tls12", "tls13", "noalpn"}
    assert any(s.address == OTHER and s.role is Role.NEUTRAL for s in own)
    assert any(s.port == mitm.OTHER_PORT for s in own)
    assert outcome(steps) is Outcome.OK


def test_a_known_key_anywhere_is_interception() -> None:
    assert outcome(run({(GOOD, HOST): KNOWN})) is Outcome.INTERCEPTED


def test_the_name_alone_calls_up_an_interceptor_at_an_unrelated_server() -> None:
    assert outcome(run({(OTHER, HOST): FORGED})) is Outcome.INTERCEPTED


def test_a_servers_own_default_certificate_accuses_nobody() -> None:
    steps = run({(OTHER, HOST): DEFAULT, (OTHER, HARMLESS): DEFAULT})
    assert outcome(steps) is Outcome.OK


def test_the_same_server_proving_itself_to_another_name_is_proof() -> None:
    own = change(FORGED, valid=True, reason=None, anchored=True, issuer_key="root")
    steps = run({(GOOD, HOST): FORGED, (GOOD, HARMLESS): own})
    assert outcome(steps) is Outcome.INTERCEPTED
