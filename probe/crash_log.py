"""Tracebacks of our own bugs, kept on this machine for whoever reports them, and never sent.

The log is bounded, and names files and lines of this program; what an exception says is left out,
since it may quote an address.
"""

import traceback
from datetime import UTC, datetime
from pathlib import Path

from probe import __version__, paths

FILE = "bugs.log"
_LIMIT = 512 * 1024
_CAUSES = 5


def save_traceback(error: BaseException, context: str = "") -> str:
    """Add one traceback to the log; returns where it is, as words for a person."""
    path = paths.find().state / FILE
    try:
        paths.find().ready()
        _append(path, f"{_heading(context)}\n{_frames(error)}\n")
    except OSError as trouble:
        return f"its traceback could not be kept ({trouble.strerror})"
    return f"its traceback is in {path}"


def _heading(context: str) -> str:
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return f"--- {moment} qazprobe {__version__} {context}".rstrip()


def _frames(error: BaseException) -> str:
    """The traceback without the exceptions' own words."""
    lines: list[str] = []
    told: BaseException | None = error
    for _ in range(_CAUSES):
        if told is None:
            break
        lines += [*traceback.format_tb(told.__traceback__, limit=40), f"{type(told).__name__}\n"]
        told = told.__cause__ or told.__context__
    return "".join(lines)


def _append(path: Path, text: str) -> None:
    if path.exists() and path.stat().st_size > _LIMIT:
        path.replace(path.with_suffix(".old.log"))
    with path.open("a", encoding="utf-8") as file:
        path.chmod(0o600)
        file.write(text)
