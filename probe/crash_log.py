"""The crash log: tracebacks of internal errors, kept on this machine for bug reports, never sent.

The log is bounded and has files and lines of this program; messages of exceptions are left out,
since they may contain addresses.
"""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from probe import __version__, paths
from probe.errors import leaves
from probe.i18n import _

FILE = "bugs.log"
_LIMIT = 512 * 1024
_DEEPEST = 8
_MOST_LINES = 400


def save_traceback(error: BaseException, context: str = "") -> str:
    """Append one traceback to the log; return where it is, for a message to the user."""
    try:
        path = paths.find().ready() / FILE
        if path.exists() and path.stat().st_size > _LIMIT:
            path.replace(path.with_suffix(".old.log"))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        heading = f"--- {now} qazprobe {__version__} {context}".rstrip()
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            path.chmod(0o600)
            file.write(f"{heading}\n{_frames(error)}\n")
    except Exception as failure:  # noqa: BLE001 - a log that cannot be written is no second error
        reason = getattr(failure, "strerror", None) or type(failure).__name__
        return _("the traceback could not be saved ({reason})").format(reason=reason)
    return _("traceback in {file}").format(file=path)


def name(error: BaseException) -> str:
    """Return the type of an exception for a message; of a group the types in it."""
    return ", ".join(dict.fromkeys(type(leaf).__name__ for leaf in leaves(error)))


def _frames(error: BaseException) -> str:
    """Return the traceback without the messages of the exceptions, groups with what is in them."""
    return "".join(islice(_lines(error, frozenset()), _MOST_LINES))


def _lines(error: BaseException, seen: frozenset[int]) -> Iterator[str]:
    """Yield the lines of an exception, of what is in it and of its causes, the outermost first."""
    if id(error) in seen or len(seen) > _DEEPEST:
        return
    seen |= {id(error)}
    yield from traceback.format_tb(error.__traceback__, limit=40)
    yield f"{type(error).__name__}\n"
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield "in the group:\n"
            yield from _lines(inner, seen)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield "caused by:\n"
        yield from _lines(cause, seen)
