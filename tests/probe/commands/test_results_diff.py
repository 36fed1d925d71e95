"""`qazprobe results diff` shows changes and nothing else."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from probe.commands.results import command
from probe.errors import UserError
from tests.probe.runner.test_changes import BLOCKED, OK, SUSPECTED, Runs


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    return Runs(tmp_path)


def diff(*words: str) -> Result:
    return CliRunner().invoke(command, ("diff", *words), catch_exceptions=False)


def test_the_last_two_complete_runs_are_compared(runs: Runs) -> None:
    runs.add(OK)
    runs.add(SUSPECTED)
    runs.add(OK, ended="interrupted")
    runs.add(BLOCKED)
    done = diff()
    assert done.stdout == "began: https://a.example: ok → blocked (tls.timeout) [web]\n"
    assert "1 began, 0 ended, 0 changed" in done.stderr


def test_named_runs_are_compared_in_the_order_of_time(runs: Runs) -> None:
    for one in (OK, BLOCKED, OK):
        runs.add(one)
    first, second, third = runs.names
    assert diff(second, first).stdout.startswith("began: ")
    assert diff(first, third).stdout == ""
    assert diff(second).stdout.startswith("ended: ")
    assert diff(second, "last").stdout.startswith("ended: ")


def test_json_is_an_object_for_each_change(runs: Runs) -> None:
    runs.add(OK)
    runs.add(BLOCKED)
    done = diff("--json")
    (found,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == {
        "kind": "began",
        "experiment": "web",
        "input": "https://a.example/",
        "before": {"outcome": "ok", "mechanisms": []},
        "after": {"outcome": "blocked", "mechanisms": ["tls.timeout"]},
        "runs": runs.names,
    }
    assert diff(runs.names[1], "--json").stdout != ""
    runs.add(BLOCKED)
    assert diff("--json").stdout == ""


def test_what_cannot_be_compared_is_one_line(runs: Runs) -> None:
    with pytest.raises(UserError, match="no two complete runs"):
        diff()
    runs.add(OK)
    with pytest.raises(UserError, match="no two complete runs"):
        diff()
    with pytest.raises(UserError, match="no such run"):
        diff("unknown-run")
    with pytest.raises(UserError, match="at most two"):
        diff("a", "b", "c")


def test_runs_on_two_networks_are_compared_with_a_warning(runs: Runs) -> None:
    runs.add(BLOCKED)
    runs.add(OK, asn=21299)
    done = diff(*runs.names)
    assert done.stdout.startswith("ended: ")
    assert "different networks" in done.stderr
