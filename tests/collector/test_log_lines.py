"""The log is structured, and bounded whatever was sent."""

import io
import ipaddress
import json
import logging
from typing import Any

import pytest

from collector.log_lines import EACH_KIND, PERIOD_SECONDS, QUOTED, JsonLines, RateLimit

HUGE = "9.9.9.9\x1b[2J\n\u202e" + "x" * 400_000


class Log:
    """A logger with the collector's form, and what it wrote."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written = io.StringIO()
        handler = logging.StreamHandler(self.written)
        handler.setFormatter(JsonLines())
        handler.addFilter(RateLimit(lambda: self.now))
        self.logger = logging.Logger("test")  # noqa: LOG001 - of this test alone
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written.getvalue().splitlines()]


@pytest.fixture
def log() -> Log:
    return Log()


def fail(text: str) -> None:
    ipaddress.ip_address(text)


def test_a_line_says_when_how_bad_and_what(log: Log) -> None:
    log.logger.warning("judging process was silent for %.0f seconds", 30.4)
    (line,) = log.lines
    assert line["level"] == "warning"
    assert line["event"] == "judging process was silent for 30 seconds"
    assert line["time"].endswith("+00:00")


def test_an_exception_is_its_class_its_text_cut_and_its_places(log: Log) -> None:
    try:
        fail(HUGE)
    except ValueError:
        log.logger.exception("bug while judging a record of experiment %s", HUGE)
    text = log.written.getvalue()
    assert len(text) < 5 * QUOTED + 1000
    assert text.count("\n") == 1
    assert text.isascii()
    assert "\x1b" not in text
    (line,) = log.lines
    assert line["exception"] == "ValueError"
    assert line["text"].endswith(" characters)")
    assert any(place.startswith("tests/collector/test_log_lines.py:") for place in line["at"])


def test_many_events_of_one_kind_are_counted_and_left_out(log: Log) -> None:
    for _ in range(1000):
        log.logger.error("%s", HUGE)
    log.logger.warning("of another kind")
    assert len(log.lines) == EACH_KIND + 1
    log.now += PERIOD_SECONDS
    log.logger.error("of a third kind")
    for _ in range(3):
        log.logger.error("of a fourth kind")
    assert not any("left_out" in line for line in log.lines)


def test_what_was_left_out_is_said_later(log: Log) -> None:
    for round_ in range(3):
        log.now = round_ * PERIOD_SECONDS
        for number in range(50):
            log.logger.error("event %d", number)
    assert len(log.lines) == 3 * EACH_KIND
    told = [line["left_out"] for line in log.lines if "left_out" in line]
    assert told == [50 - EACH_KIND] * 2


def test_what_cannot_be_shown_does_not_stop_the_log(log: Log) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    log.logger.error("%s and %d", Odd(), "no number")
    log.logger.error("%s", Odd())
    assert [line["event"] for line in log.lines] == ["%s and %d", "<Odd>"]
