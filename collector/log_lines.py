"""The collector's log on stderr: one JSON object a line, bounded for every input.

Rules: a line quotes at most 200 characters of each value and shows control characters escaped. A
traceback is reduced to its places. Of each kind, which is a place in the code with an exception,
ten lines a minute are written; the next one says how many were left out.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

QUOTED, EVENT = 200, 500
PLACES = 12
EACH_KIND = 10
PERIOD_SECONDS = 60.0
KINDS = 1000
_ROOT = Path(__file__).parents[1]

Kind = tuple[str, int, str]


def install() -> None:
    """Write what the process logs to stderr, from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(RateLimit())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class JsonLines(logging.Formatter):
    """Formats each event as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line: time, level, event, and of an exception its class, text and places."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": _event(record),
        }
        kind, error, trace = record.exc_info or (None, None, None)
        if kind is not None:
            line["exception"] = kind.__name__
            line["text"] = quoted(error)
            line["at"] = _places(trace)
        left_out = getattr(record, "left_out", 0)
        if left_out:
            line["left_out"] = left_out
        return json.dumps(line)


class RateLimit(logging.Filter):
    """Passes a few events of each kind in each period."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[Kind, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it; a written one gets the number of those before it that were not."""
        kind = _kind(record)
        now = self._clock()
        since, count = self._kinds.get(kind, (now, 0))
        if now - since >= PERIOD_SECONDS:
            record.left_out = max(0, count - EACH_KIND)
            since, count = now, 0
        if kind not in self._kinds and len(self._kinds) >= KINDS:
            self._kinds.clear()
        self._kinds[kind] = (since, count + 1)
        return count < EACH_KIND


def quoted(value: object) -> str:
    """A value as text, cut."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - a value that cannot be shown must not stop the log
        text = f"<{type(value).__name__}>"
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}… ({len(text)} characters)"


def _event(record: logging.LogRecord) -> str:
    """The message with its values cut; numbers keep their form."""
    values = record.args
    if isinstance(values, tuple):
        values = tuple(one if isinstance(one, int | float) else quoted(one) for one in values)
    try:
        text = str(record.msg) % values if values else str(record.msg)
    except (TypeError, ValueError, KeyError):
        text = str(record.msg)
    return text[:EVENT]


def _places(trace: TracebackType | None) -> list[str]:
    """Where an exception came from, the innermost place last; no values and no source text."""
    frames = traceback.extract_tb(trace)[-PLACES:]
    return [f"{_relative(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _relative(name: str) -> str:
    path = Path(name)
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name


def _kind(record: logging.LogRecord) -> Kind:
    """The place that logs, and the exception with the place that raised it."""
    kind, _, trace = record.exc_info or (None, None, None)
    raised = f"{kind.__name__} {_places(trace)[-1:]}" if kind is not None else ""
    return record.pathname, record.lineno, raised
