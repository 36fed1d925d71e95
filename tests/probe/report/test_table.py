"""What a person sees at the end, and what a script does."""

import io
import sys

import msgspec
import pytest
from msgspec.structs import replace

from probe.model import Mechanism, Outcome, Record, RuleHit, RunFacts, Skip, Verdict
from probe.report.console import Console, summary
from probe.report.table import _cells, render
from tests.build import record


def judged(host: str, outcome: Outcome, *mechanisms: Mechanism, reason: str = "Because.") -> Record:
    verdict = Verdict(
        outcome=outcome,
        mechanisms=mechanisms,
        confidence=0.98,
        rules=(RuleHit(id="a.b", reason=reason),),
    )
    return replace(record(), input=f"https://{host}/", verdict=verdict)


BLOCKED = judged("bad.example", Outcome.BLOCKED, Mechanism.TLS_TIMEOUT)


def test_interference_comes_first() -> None:
    text = render([judged("fine.example", Outcome.OK), BLOCKED], None, width=100)
    assert text.index("bad.example") < text.index("fine.example")
    assert "XX  blocked  tls.timeout  98%    https://bad.example" in text
    assert "2 measured: 1 blocked, 1 ok" in text


def test_many_working_targets_are_only_counted() -> None:
    fine = [judged(f"site{number}.example", Outcome.OK) for number in range(50)]
    text = render([*fine, BLOCKED], None, width=100)
    assert "site1.example" not in text
    assert "50 ok" in text


def test_skipped_targets_are_counted_with_the_reason() -> None:
    facts = RunFacts(skipped=(Skip(input="https://x/", reason="time was up"),))
    assert "1 not measured: time was up" in render([], facts, width=80)


def test_of_many_skipped_targets_only_the_counts_are_shown() -> None:
    facts = RunFacts(
        skipped=(Skip(input="https://x/", reason="time was up"),),
        skipped_counts={"time was up": 99961, "no quic": 2},
    )
    assert "99963 not measured: time was up (99961); no quic (2)" in render([], facts, width=80)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_keep_to_the_terminal(width: int) -> None:
    long = judged("a" * 60 + ".example", Outcome.INCONCLUSIVE, reason="word " * 40)
    text = render([long, BLOCKED], None, width=width)
    assert all(_cells(line) <= max(width, 120) for line in text.splitlines())


def test_control_characters_are_escaped() -> None:
    evil = judged("evil.example", Outcome.OK, reason="\x1b[2J\u202e")
    text = render([evil], None, width=100)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_summary_is_one_line_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    Console(json=True).show_record(BLOCKED)
    said = msgspec.json.decode(out.getvalue())
    assert said["outcome"] == "blocked"
    assert said["reason"] == "Because."
    assert said == msgspec.json.decode(msgspec.json.encode(summary(BLOCKED)))


def test_quiet_keeps_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.note("all is well")
    console.warn("something \x1b is wrong")
    console.show_record(BLOCKED)
    console.table(BLOCKED)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "qazprobe: something \\u001b is wrong\n"
