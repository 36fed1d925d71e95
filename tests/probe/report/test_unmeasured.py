"""One sentence says how many targets were not measured, and why."""

from probe.model import RunFacts, Skip
from probe.report import unmeasured


def test_nothing_is_said_when_every_target_was_measured() -> None:
    assert unmeasured.sentence(RunFacts(targets=3, measured=3)) is None


def test_one_reason_is_named() -> None:
    facts = RunFacts(targets=100_000, skipped_counts={"time was up": 99_961})
    assert unmeasured.sentence(facts) == ("99961 of 100000 targets were not measured: time was up")


def test_records_of_earlier_versions_name_every_target() -> None:
    skipped = tuple(Skip(input=f"https://{n}.test/", reason="time was up") for n in range(60))
    assert unmeasured.counts(RunFacts(targets=61, skipped=skipped)) == {"time was up": 60}
