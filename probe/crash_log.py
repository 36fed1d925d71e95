"""The crash log: tracebacks of internal errors, kept on this machine for bug reports, never sent.

The log is bounded and has files and lines of this program; messages of exceptions are left out,
since they may contain addresses.
"""

import traceback
from datetime import UTC, datetime

from probe import __version__, paths

FILE = "bugs.log"
_LIMIT = 512 * 1024
_CAUSES = 5


def save_traceback(error: BaseException, context: str = "") -> str:
    """Append one traceback to the log; return where it is, for a message to the user."""
    path = paths.find().state / FILE
    try:
        paths.find().ready()
        if path.exists() and path.stat().st_size > _LIMIT:
            path.replace(path.with_suffix(".old.log"))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        heading = f"--- {now} qazprobe {__version__} {context}".rstrip()
        with path.open("a", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(f"{heading}\n{_frames(error)}\n")
    except OSError as failure:
        return f"the traceback could not be saved ({failure.strerror})"
    return f"traceback in {path}"


def _frames(error: BaseException) -> str:
    """Return the traceback without the messages of the exceptions."""
    lines: list[str] = []
    current: BaseException | None = error
    for _ in range(_CAUSES):
        if current is None:
            break
        lines += [
            *traceback.format_tb(current.__traceback__, limit=40),
            f"{type(current).__name__}\n",
        ]
        current = current.__cause__ or current.__context__
    return "".join(lines)
