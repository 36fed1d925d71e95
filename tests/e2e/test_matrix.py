"""The whole pipeline with its own commands: a few scenarios of every layer get right verdicts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from probe.lab.__main__ import line_of, main, summary
from probe.lab.catalogue import catalogue
from probe.lab.demo import demo
from probe.lab.matrix import (
    ActualVerdict,
    MatrixRow,
    group_by_environment,
    run_matrix,
    select_scenarios,
)
from probe.lab.testbed import unavailable_reason

FEW = ("innocent.fine", "dns.nxdomain", "tls.reset", "http.page_200", "mitm.2021")


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.skipif(
    unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
)
def test_a_few_scenarios_get_right_verdicts_in_namespaces() -> None:
    (part,) = run_matrix(each for each in catalogue() if each.name in FEW)
    assert part.problem == ""
    assert [line_of(row) for row in part.rows if not row.right] == []
    assert len(part.rows) == len(FEW)


@pytest.mark.slow
def test_the_same_scenarios_get_right_verdicts_on_loopback() -> None:
    (part,) = run_matrix((each for each in catalogue() if each.name in FEW), loopback=True)
    assert part.problem == ""
    assert [line_of(row) for row in part.rows if not row.right] == []


@pytest.mark.slow
def test_the_demonstration_succeeds_and_writes_its_records(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "demo.jsonl"
    assert demo(output) == 0
    output_text = capfd.readouterr().out
    assert "silent-hello.org" in output_text
    assert 'qazprobe_target_outcome{target="' in output_text
    assert str(output) in output_text
    assert output.stat().st_size > 10_000
    assert "qazprobe consent" in output_text.splitlines()[-1], "the next step is the last word"


def test_scenarios_are_selected_by_glob_and_grouped_by_environment() -> None:
    assert {each.name for each in select_scenarios("lines.loss_*")} == {
        "lines.loss_1", "lines.loss_3", "lines.loss_5"
    }  # fmt: skip
    assert len(group_by_environment(select_scenarios("lines.*"))) == len(
        select_scenarios("lines.*")
    )
    assert len(group_by_environment(select_scenarios("tls.drop_hello*"))) == 1


def test_the_list_has_the_right_verdicts() -> None:
    output_text = CliRunner().invoke(main, ["list", "--scenario", "tls.drop_*"]).output
    assert "tls.drop_hello  [wire, control fresh, loopback]" in output_text
    assert "https://silent-hello.org/  blocked  tls.timeout" in output_text


def test_a_false_positive_sets_the_exit_code() -> None:
    (fine,) = select_scenarios("innocent.fine")
    false_positive = MatrixRow(fine, fine.expect[0], ActualVerdict("blocked", ("tls.reset",)))
    inconclusive = MatrixRow(fine, fine.expect[0], ActualVerdict("inconclusive"))
    assert summary([inconclusive]) == 0
    assert summary([false_positive, inconclusive]) == 1
    assert line_of(false_positive).startswith("FALSE+")
    assert "wanted: ok" in line_of(inconclusive)
