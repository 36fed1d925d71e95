"""`qazprobe judge`: files are judged again, and the conclusions compared."""

import csv
import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from probe import codec
from probe.commands.judge import command
from probe.errors import Exit, UserError
from tests.probe.interop.ooni.incoming.situations import SITUATIONS

CHOSEN = {
    "https works": (True, False),
    "a reset after the hello": (False, "http-failure"),
    "a reset everywhere": (False, False),
    "NXDOMAIN here, no control": (False, "dns"),
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Four measurements, one of another experiment, and a line that is none."""
    path = tmp_path / "2024.jsonl.gz"
    lines = []
    for number, (name, said) in enumerate(CHOSEN.items()):
        made = SITUATIONS[name].make()
        made["measurement_uid"] = f"uid-{number}"
        made["test_keys"]["accessible"], made["test_keys"]["blocking"] = said
        lines.append(json.dumps(made))
    lines += [json.dumps({"test_name": "ndt", "test_keys": {"a": 1}}), "{"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def judge(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_the_table_has_both_conclusions_and_each_difference_its_reason(archive: Path) -> None:
    done = judge("--format", "ooni", archive)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "OONI says we say measurements" in lines
    assert "accessible ok 1" in lines
    assert "http-failure blocked 1" in lines
    assert "dns → inconclusive: 1 (unclear.no_control)" in lines
    assert "http-failure → blocked: 1" not in done.stdout
    assert "4 measurements judged" in lines
    assert "left out, without a counterpart here: ndt 1" in lines
    assert "refused: 1" in lines
    assert "CC BY-NC-SA 4.0" in done.stdout
    assert f"{archive}:6: no JSON" in done.stderr


def test_it_is_given_as_json(archive: Path) -> None:
    told = json.loads(judge("--format", "ooni", "--json", archive).stdout)
    assert (told["judged"], told["refused"], told["left_out"]) == (4, 1, {"ndt": 1})
    assert {"said": "down", "outcome": "down", "count": 1} in told["table"]
    (differing,) = [one for one in told["reasons"] if not one["same"]]
    assert differing["rule"] == "unclear.no_control"
    assert differing["reason"]


def test_it_is_given_as_csv(archive: Path) -> None:
    rows = list(csv.DictReader(judge("--format", "ooni", "--csv", archive).stdout.splitlines()))
    assert {row["said"] for row in rows} == {"accessible", "http-failure", "down", "dns"}
    assert sum(int(row["count"]) for row in rows) == 4


def test_the_judged_records_are_written_and_can_be_judged_again(
    archive: Path, tmp_path: Path
) -> None:
    written = tmp_path / "records.jsonl"
    judge("--format", "ooni", archive, "-o", written)
    records = [codec.decode(line) for line in written.read_bytes().splitlines()]
    assert [one.origin for one in records] == ["ooni"] * 4
    assert records[1].verdict is not None
    assert records[1].verdict.outcome == "blocked"
    told = json.loads(judge("--json", written).stdout)
    assert told["judged"] == 4
    assert all(one["said"] == one["outcome"] for one in told["table"])


def test_nothing_that_can_be_judged_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("not json\n")
    done = CliRunner().invoke(command, ["--format", "ooni", str(tmp_path / "none.jsonl")])
    assert isinstance(done.exception, UserError)
    assert done.exception.code == Exit.USAGE
    assert "none.jsonl:1: " in done.stderr


def test_a_judging_that_is_interrupted_leaves_the_file_as_it_was(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "judged.jsonl"
    out.write_text("as it was\n")

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("probe.judge.judge", interrupted)
    CliRunner().invoke(command, ["--format", "ooni", str(archive), "-o", str(out)])
    assert out.read_text() == "as it was\n"


def test_json_and_csv_exclude_each_other(archive: Path) -> None:
    done = CliRunner().invoke(command, ["--json", "--csv", str(archive)])
    assert done.exit_code != 0
