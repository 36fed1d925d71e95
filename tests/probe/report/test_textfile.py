"""The text for node_exporter, read by Prometheus's own parser."""

from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families as parsed

from probe.model import Line, Mechanism, Outcome, Record, RunFacts, Transfer
from probe.report.textfile import Collected, render
from tests.probe import sample

FACTS = RunFacts(targets=9, measured=4, bytes_in=1000, bytes_out=10, skipped_counts={"time": 5})
RUN = replace(sample.facts(), facts=FACTS, line=Line(foreign_alive=0.5))


def transfer(arm: str, rate: float | None) -> Transfer:
    return Transfer(address="192.0.2.9", port=1, arm=arm, pair=1, rate=rate)  # type: ignore[arg-type]


def text(*records: Record, unlisted: tuple[str, ...] = (), offline: bool = False) -> str:
    collected = Collected()
    for one in (*records, RUN):
        collected.take(one)
    return render(collected.records, RUN, unlisted=frozenset(unlisted), offline=offline)


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in parsed(text)
        for one in family.samples
    }


def value(text: str, name: str, **labels: str) -> float | None:
    return samples(text).get((name, frozenset(labels.items())))


def outcome(text: str, target: str, said: str, category: str = "NEWS") -> float | None:
    labels = {"target": target, "category": category, "outcome": said}
    return value(text, "qazprobe_target_outcome", **labels)


def test_each_target_has_its_outcome_and_the_run_its_facts() -> None:
    made = text(sample.blocked("b"), sample.trusted("a"))
    assert outcome(made, "b.example", "blocked") == 1
    assert outcome(made, "a.example", "ok") == 1
    mechanism = {"target": "b.example", "mechanism": "tls.timeout"}
    assert value(made, "qazprobe_target_mechanism", **mechanism) == 1
    assert value(made, "qazprobe_run_timestamp_seconds") == 1795297200
    assert value(made, "qazprobe_run_targets") == 9
    assert value(made, "qazprobe_run_measured") == 4
    assert value(made, "qazprobe_run_skipped") == 5
    assert value(made, "qazprobe_run_bytes", direction="in") == 1000
    assert value(made, "qazprobe_run_offline") == 0
    assert value(made, "qazprobe_run_complete") == 1
    assert value(made, "qazprobe_connectivity_ratio", **{"class": "foreign"}) == 0.5
    assert made.count("qazprobe_connectivity_ratio{") == 1
    assert value(text(offline=True), "qazprobe_run_offline") == 1


def test_a_target_has_one_outcome_the_gravest() -> None:
    plain = replace(sample.trusted("b"), input="http://b.example/")
    made = text(sample.blocked("b"), plain, replace(sample.trusted("b"), experiment="quic"))
    assert outcome(made, "b.example", "blocked") == 1
    assert made.count('target="b.example",category') == 1


def test_a_target_on_no_list_is_not_named() -> None:
    named = ("https://b.example/", "https://d.example/")
    slow = replace(sample.blocked("d"), steps=(transfer("A", 1.0), transfer("B", 2.0)))
    made = text(sample.blocked("b"), sample.blocked("a"), slow, unlisted=named)
    assert outcome(made, "unlisted", "blocked", category="") == 2
    assert outcome(made, "a.example", "blocked") == 1
    assert "b.example" not in made
    assert "d.example" not in made


def test_rates_of_a_comparison_are_written() -> None:
    steps = (*(transfer("A", rate) for rate in (1.0, 3.0, 2.0)), transfer("B", 8.0))
    made = text(replace(sample.blocked("b"), experiment="throttle", steps=steps))
    name = "qazprobe_throughput_bytes_per_second"
    assert value(made, name, target="b.example", arm="target") == 2
    assert value(made, name, target="b.example", arm="reference") == 8
    assert value(made, "qazprobe_throttle_ratio", target="b.example") == 0.25
    late = (transfer("E", 1.0), transfer("F", 10.0))
    made = text(replace(sample.blocked("b"), experiment="throttle", steps=(*steps, *late)))
    assert value(made, "qazprobe_throttle_ratio", target="b.example") == 0.1
    without = replace(sample.blocked("b"), steps=(transfer("A", None),))
    assert name not in text(without)


def test_the_connection_and_services_have_labels() -> None:
    line = replace(sample.blocked("b"), experiment="connectivity", input="", category=None)
    service = replace(line, experiment="telegram", input="service:telegram")
    made = text(line, service)
    assert outcome(made, "connection", "blocked", category="") == 1
    assert outcome(made, "service:telegram", "blocked", category="") == 1


def test_labels_are_escaped() -> None:
    evil = 'https://e.example/"}\n\\x 1\nqazprobe_run_targets 7\r' + "a" * 300
    made = text(replace(sample.blocked("b"), input=evil, category='"\n'))
    assert value(made, "qazprobe_run_targets") == 9
    (target,) = [
        dict(labels)["target"]
        for name, labels in samples(made)
        if name == "qazprobe_target_outcome"
    ]
    assert target.startswith('e.example/"}\n\\x 1\n')
    assert len(target) <= 100


def test_every_family_is_declared_once() -> None:
    made = text(sample.blocked("b"), sample.intercepted("a"))
    families = list(parsed(made))
    assert len({one.name for one in families}) == len(families)
    assert all(one.documentation and one.type == "gauge" for one in families)
    assert Outcome.BLOCKED in made
    assert Mechanism.TLS_MITM in made
