"""Signal's endpoints, and its own root instead of a browser's."""

from msgspec.structs import replace

from probe.analysis.service_attempts import attempts
from probe.experiments.interface import Task
from probe.experiments.signal import EXPERIMENT
from probe.failure import Failure
from probe.model import Authority, Steps, Trust
from probe.reference_data import authorities, endpoints
from tests.build import FORGED, GOOD
from tests.fake_net import FakeNet
from tests.probe.talking import first

HOSTS = [name for one in endpoints("signal") for name in one.names]
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {
    (resolver, host): (GOOD,) for host in HOSTS for resolver in ("system", "1.1.1.1")
}
PROVED = Authority(id="signal.2022", kind="service", proof="verified")
OWN = replace(FORGED, authority=PROVED)


def measured(trust: Trust) -> Steps:
    handshakes: dict[tuple[str, str | None], Failure | Trust] = {(GOOD, h): trust for h in HOSTS}
    task = Task("service:signal", seed=1)
    return first(EXPERIMENT, task, FakeNet(names=NAMES, handshakes=handshakes))


def test_a_chain_under_signals_own_root_is_proof() -> None:
    found = attempts(measured(OWN))
    assert {one.part for one in found} == {"messages", "storage", "contacts", "calls"}
    assert all(one.proven for one in found)


def test_a_chain_under_an_unknown_root_proves_nothing() -> None:
    for trust in (FORGED, replace(OWN, authority=replace(PROVED, proof="claimed"))):
        found = attempts(measured(trust))
        assert all(one.failure is None and not one.proven for one in found)


def test_the_root_is_known_by_its_key() -> None:
    (root,) = (one for one in authorities() if one.kind == "service")
    assert root.id == "signal.2022"
    assert len(root.spki) > 500
