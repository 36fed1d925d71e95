"""Messenger's names."""

from probe.analysis.service_attempts import attempts, by_part
from probe.experiments.interface import Task
from probe.experiments.messenger import EXPERIMENT
from probe.failure import Failure
from probe.reference_data import endpoints
from tests.build import GOOD
from tests.fake_net import FakeNet
from tests.probe.talking import first

HOSTS = [name for one in endpoints("messenger") for name in one.names]
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {
    (resolver, host): (GOOD,) for host in HOSTS for resolver in ("system", "1.1.1.1")
}


def test_every_name_must_prove_itself() -> None:
    task = Task("service:messenger", seed=1)
    found = attempts(first(EXPERIMENT, task, FakeNet(names=NAMES)))
    assert {one.endpoint[0] for one in found} == set(HOSTS)
    assert all(one.proven for one in found)
    assert set(by_part(found)) == {"messages", "accounts", "pictures"}
