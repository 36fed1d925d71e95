"""From steps to a record within the size limit."""

import base64
from datetime import UTC, datetime, timedelta, timezone

from msgspec.structs import replace

from probe import codec
from probe.model import Http, Vantage
from probe.ordering import Job
from probe.runner import record_builder
from probe.runner.record_builder import Measurement, RunHeader
from tests.build import record
from tests.probe.fake_run import FakeSession, FakeTargetNet

BODY = base64.b64encode(b"x" * 4096).decode()
PAGE = Http(url="http://a.example/", address="192.0.2.1", port=80, host="a.example", body=BODY)


def test_a_record_has_the_job_and_the_steps() -> None:
    net = FakeTargetNet(FakeSession(), 0.0)
    net.certs["abc"] = b"\x30"
    moment = datetime(2026, 11, 21, 21, 39, 5, 123456, tzinfo=timezone(timedelta(hours=5)))
    measurement = Measurement(
        "id", Job("web", "https://a.example/", "NEWS"), moment, 0.0, net, (PAGE,), 1.5
    )
    made = record_builder.build(measurement, RunHeader("run", lab=True), Vantage(country="KZ"))
    assert made.started_at == "2026-11-21T16:39:05.123Z"
    assert (made.input, made.category, made.lab) == ("https://a.example/", "NEWS", True)
    assert made.certs == {"abc": base64.b64encode(b"\x30").decode()}
    assert codec.decode(codec.encode(made)) == made


def test_every_record_has_the_network_of_the_resolver() -> None:
    header = RunHeader("run", lab=False, resolver_asn=15169)
    net = FakeTargetNet(FakeSession(), 0.0)
    job = Job("web", "https://a.example/")
    measurement = Measurement("id", job, datetime.now(UTC), 0.0, net, (PAGE,), 1.5)
    made = record_builder.build(measurement, header, Vantage(asn=9198))
    assert made.resolver_asn == 15169
    assert record_builder.scrubbed(made).resolver_asn == 15169


def test_the_run_has_its_own_record() -> None:
    from probe.model import RunFacts

    made = record_builder.run_record(
        RunHeader("run", lab=False),
        Vantage(),
        started=datetime.now(UTC),
        elapsed=1.0,
        steps=(),
        facts=RunFacts(targets=3),
    )
    assert (made.experiment, made.id, made.run) == ("run", "run", "run")
    assert codec.decode(codec.encode(made)) == made


def test_a_long_record_loses_its_largest_parts_first() -> None:
    small = replace(record(), steps=(PAGE,), certs={"a": BODY})
    assert record_builder.fit(small) is small
    bodies = replace(small, steps=(PAGE,) * 120)
    fitted = record_builder.fit(bodies)
    assert len(codec.encode(fitted)) < codec.LINE_LIMIT
    assert len(fitted.steps) == 120
    assert fitted.certs == small.certs
    certs = replace(small, certs={str(number): 2 * BODY for number in range(60)})
    assert record_builder.fit(certs).certs == {}
    steps = replace(small, steps=(replace(PAGE, title="x" * 10_000),) * 200)
    assert len(codec.encode(record_builder.fit(steps))) < codec.LINE_LIMIT
