"""Changes between runs: what began, ended or changed; never noise."""

from pathlib import Path

from msgspec.structs import replace

from probe import codec
from probe.model import Mechanism, Outcome, Record, RunFacts, Stage, Verdict
from probe.runner import changes
from probe.runner.changes import Change
from probe.runner.results import Results, summaries
from probe.runner.run_spec import RunEnd
from tests.probe import sample

RESET, SILENT = Mechanism.TLS_RESET, Mechanism.TLS_TIMEOUT


def judged(
    outcome: Outcome,
    *mechanisms: Mechanism,
    stage: Stage = Stage.CONFIRMED,
    experiment: str = "web",
) -> Record:
    verdict = Verdict(outcome=outcome, mechanisms=mechanisms, stage=stage, confidence=0.9)
    return replace(sample.record("a"), verdict=verdict, experiment=experiment)


OK = judged(Outcome.OK, stage=Stage.SUSPECTED)
BLOCKED = judged(Outcome.BLOCKED, SILENT)
SUSPECTED = judged(Outcome.BLOCKED, SILENT, stage=Stage.SUSPECTED)
UNKNOWN = judged(Outcome.INCONCLUSIVE, stage=Stage.SUSPECTED)
OFFLINE = judged(Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
DOWN = judged(Outcome.DOWN)


class Runs:
    """Results of runs one after another, each of which ended."""

    def __init__(self, folder: Path) -> None:
        self.results = Results(folder)
        self.names: list[str] = []

    def add(self, *records: Record, asn: int | None = 9198, ended: RunEnd = "finished") -> None:
        number = len(self.names)
        run, at = f"019aa9d8-{number:04}-7000", f"2026-11-{number + 1:02}T10:00:00.000Z"
        vantage = replace(sample.KAZAKHTELECOM, asn=asn)
        facts = replace(sample.facts(), facts=RunFacts(ended=ended))
        for index, one in enumerate((*records, facts)):
            kept = replace(one, run=run, started_at=at, vantage=vantage, id=f"{run}-{index}")
            self.results.keep(kept, codec.encode(kept))
        self.names.append(run)

    def found(self, old: int = -2, new: int = -1) -> list[Change]:
        files = self.results.files()
        return changes.between(files, summaries(files), self.names[old], self.names[new])

    def complete(self) -> list[str]:
        return [one.run for one in changes.complete_runs(summaries(self.results.files()))]


def kinds(folder: Path, *rounds: Record) -> list[str]:
    runs = Runs(folder)
    for one in rounds:
        runs.add(one)
    return [one.kind for one in runs.found()]


def test_confirmed_interference_began_or_ended(tmp_path: Path) -> None:
    assert kinds(tmp_path / "1", OK, BLOCKED) == ["began"]
    assert kinds(tmp_path / "2", BLOCKED, OK) == ["ended"]
    assert kinds(tmp_path / "3", BLOCKED, judged(Outcome.REFUSED)) == ["ended"]


def test_another_mechanism_or_outcome_is_a_change(tmp_path: Path) -> None:
    assert kinds(tmp_path / "1", BLOCKED, judged(Outcome.BLOCKED, RESET)) == ["changed"]
    assert kinds(tmp_path / "2", BLOCKED, judged(Outcome.THROTTLED)) == ["changed"]
    both = judged(Outcome.BLOCKED, SILENT, RESET)
    other_order = judged(Outcome.BLOCKED, RESET, SILENT)
    assert kinds(tmp_path / "3", both, other_order) == []


def test_noise_is_no_change_to_or_from(tmp_path: Path) -> None:
    noise = (SUSPECTED, UNKNOWN, OFFLINE, DOWN)
    for number, one in enumerate(noise):
        for known in (OK, BLOCKED):
            folder = tmp_path / f"{number}{known.verdict.outcome if known.verdict else ''}"
            assert kinds(folder / "to", known, one) == []
            assert kinds(folder / "from", one, known) == []


def test_noise_does_not_hide_a_change(tmp_path: Path) -> None:
    assert kinds(tmp_path / "1", OK, SUSPECTED, BLOCKED) == ["began"]
    assert kinds(tmp_path / "2", BLOCKED, OFFLINE, UNKNOWN, OK) == ["ended"]
    assert kinds(tmp_path / "3", OK, SUSPECTED, BLOCKED, BLOCKED) == []
    assert kinds(tmp_path / "4", BLOCKED, UNKNOWN, BLOCKED) == []


def test_a_new_target_and_a_missing_one_are_no_change(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.add(OK)
    runs.add(replace(BLOCKED, input="https://new.example/"))
    assert runs.found() == []


def test_experiments_are_compared_each_with_itself(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.add(OK, judged(Outcome.OK, experiment="throttle"))
    runs.add(OK, judged(Outcome.THROTTLED, experiment="throttle"))
    (found,) = runs.found()
    assert (found.kind, found.experiment) == ("began", "throttle")
    assert str(found) == "began: https://a.example: ok → throttled [throttle]"


def test_another_network_is_no_change(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.add(BLOCKED, asn=9198)
    runs.add(OK, asn=21299)
    runs.add(BLOCKED, asn=9198)
    runs.add(OK, asn=None)
    assert runs.found(0, 2) == []
    assert [one.kind for one in runs.found(2, 3)] == ["ended"]
    assert runs.complete() == [runs.names[3], runs.names[2], runs.names[1], runs.names[0]]


def test_complete_runs_are_those_of_one_network(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.add(OK, asn=9198)
    runs.add(OK, asn=21299)
    runs.add(OK, asn=9198, ended="interrupted")
    runs.add(OFFLINE, asn=9198)
    runs.add(BLOCKED, asn=9198)
    assert runs.complete() == [runs.names[4], runs.names[0]]


def test_counts_and_lines_are_those_of_the_changes(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    evil = "https://xn--d1acpjx3f.xn--p1ai/\x1b[2J"
    runs.add(replace(BLOCKED, input=evil))
    runs.add(replace(OK, input=evil))
    found = runs.found()
    assert changes.counts(found) == {"began": 0, "ended": 1, "changed": 0}
    (line,) = changes.text(found)
    assert line.startswith("ended: https://яндекс.рф/\\u001b[2J: blocked (tls.timeout) → ok")
