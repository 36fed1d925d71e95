"""What a person sees at the end, and what a script does."""

import io
import sys

import msgspec
import pytest
from msgspec.structs import replace

from probe import i18n
from probe.model import Mechanism, Outcome, Record, RuleHit, RunFacts, Skip, Verdict
from probe.report.cells import cells
from probe.report.console import Console, summary
from probe.report.table import render
from tests.build import record


def judged(host: str, outcome: Outcome, *mechanisms: Mechanism, reason: str = "Because.") -> Record:
    verdict = Verdict(
        outcome=outcome,
        mechanisms=mechanisms,
        confidence=0.98,
        rules=(RuleHit(id="a.b", reason=reason),),
    )
    return replace(record(), input=f"https://{host}/", verdict=verdict)


def seen_by(experiment: str, host: str, outcome: Outcome, *mechanisms: Mechanism) -> Record:
    return replace(judged(host, outcome, *mechanisms), experiment=experiment)


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


WORDS = "several words that explain it at length " * 6
HOSTILE = [
    judged("a" * 60 + ".example", Outcome.INCONCLUSIVE, reason=WORDS),
    judged("b" * 200, Outcome.BLOCKED, *Mechanism, reason="x" * 400),
    judged("\x1b[31m\u202e" * 30, Outcome.BLOCKED, reason="例え" * 100),
    BLOCKED,
]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
@pytest.mark.parametrize("language", ["en", "ru", "kk"])
def test_lines_keep_to_the_terminal(width: int, language: str) -> None:
    facts = RunFacts(targets=70, skipped_counts={"time was up": 3, "the run was stopped": 63})
    i18n.use(language)
    try:
        text = render(HOSTILE, facts, width=width)
    finally:
        i18n.use("en")
    assert max(map(cells, text.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_words_ids_and_names_stay_whole(width: int) -> None:
    name = "a-rather-long-name-of-a-site.example"
    mechanisms = (Mechanism.DNS_WRONG_ADDRESS, Mechanism.THROTTLE_POLICED)
    text = render(
        [judged(name, Outcome.BLOCKED, *mechanisms, reason=WORDS), BLOCKED], None, width=width
    )
    words = set(text.replace(",", "").split())
    assert {f"https://{name}", *mechanisms, *WORDS.split()} <= words


def test_a_narrow_terminal_stacks_the_columns() -> None:
    text = render([BLOCKED, judged("fine.example", Outcome.OK)], None, width=60)
    lines = text.splitlines()
    assert lines[0] == "XX  blocked  https://bad.example"
    assert lines[1] == "    tls.timeout, confidence 98%"
    assert lines[2] == "    Because."
    assert lines[3] == "    ok       https://fine.example"


def test_one_site_is_one_row_with_the_gravest_finding() -> None:
    found = [
        judged("video.example", Outcome.OK),
        seen_by("throttle", "video.example", Outcome.THROTTLED, Mechanism.THROTTLE_POLICED),
        seen_by("quic", "video.example", Outcome.INCONCLUSIVE),
        seen_by("sni", "plain.example", Outcome.OK),
    ]
    for width in (60, 140):
        text = render(found, None, width=width)
        assert text.count("https://video.example") == 1
        assert "web ok · throttle throttled · quic inconclusive" in text
        assert "2 measured: 1 throttled, 1 ok" in text


def test_a_page_that_works_on_a_throttled_site_is_not_called_ok() -> None:
    page = replace(judged("video.example", Outcome.OK), input="https://video.example/watch?v=1")
    site = seen_by("throttle", "video.example", Outcome.THROTTLED)
    text = render([page, judged("video.example", Outcome.OK), site], None, width=140)
    assert "2 measured: 2 throttled" in text


def test_without_interference_the_page_decides_the_row() -> None:
    pairs = ((Outcome.INCONCLUSIVE, Outcome.OK), (Outcome.OK, Outcome.INCONCLUSIVE))
    for page, other in pairs:
        found = [judged("a.example", page), seen_by("quic", "a.example", other)]
        assert f"1 measured: 1 {page}\n" in render(found, None, width=100)


def test_names_are_shown_as_people_write_them() -> None:
    text = render([judged("xn--d1acpjx3f.xn--p1ai", Outcome.BLOCKED)], None, width=100)
    assert "https://яндекс.рф" in text


def test_the_connection_and_services_have_names() -> None:
    line = replace(seen_by("connectivity", "x", Outcome.BLOCKED), input="")
    service = replace(seen_by("telegram", "x", Outcome.BLOCKED), input="service:telegram")
    text = render([line, service], None, width=100)
    assert "this connection (connectivity)" in text
    assert "service telegram" in text


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
