"""WhatsApp's endpoints."""

from msgspec.structs import replace

from probe.analysis.service_attempts import attempts, by_part
from probe.experiments.interface import Task
from probe.experiments.whatsapp import EXPERIMENT
from probe.failure import Failure
from probe.judge import judge
from probe.model import Outcome
from probe.reference_data import endpoints
from tests.build import GOOD, record
from tests.fake_net import FakeNet
from tests.probe.talking import first

HOSTS = [name for one in endpoints("whatsapp") for name in one.names]
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {
    (resolver, host): (GOOD,) for host in HOSTS for resolver in ("system", "1.1.1.1")
}
TASK = Task("service:whatsapp", seed=1)


def test_messages_by_connection_and_the_rest_by_name() -> None:
    steps = first(EXPERIMENT, TASK, FakeNet(names=NAMES))
    found = by_part(attempts(steps))
    assert len(found["messages"]) == 32
    assert {one.endpoint[1] for one in found["messages"]} == {443, 5222}
    assert [one.tls.sni for one in found["registration"] if one.tls] == ["v.whatsapp.net"]
    assert all(one.proven for one in found["web"])


def test_an_open_port_is_less_than_a_proof() -> None:
    steps = first(EXPERIMENT, TASK, FakeNet(names=NAMES))
    seen = replace(record(experiment="whatsapp", url=TASK.url), steps=steps)
    verdict = judge(seen)
    assert verdict.outcome is Outcome.OK
    assert verdict.rules[0].id == "services.answers"
