"""What a round does with its results on this machine: the text file, and the notification."""

import asyncio
from pathlib import Path

from probe import atomic_files
from probe.config import Settings
from probe.errors import UserError
from probe.i18n import _
from probe.model import Record
from probe.report import textfile
from probe.report.textfile import Collected
from probe.runner import changes, notify
from probe.runner.changes import Change
from probe.runner.results import Results, ResultsError, summaries

# Every user of the machine may read it: node_exporter runs as a user of its own.
_MODE = 0o644


def check(settings: Settings) -> None:
    """Raise `UserError` for a text file or a command that cannot work, before anything is done."""
    notify.command(settings.notify)
    if settings.textfile is None:
        return
    path = Path(settings.textfile)
    if path.is_dir() or not path.absolute().parent.is_dir():
        problem = _("is a folder") if path.is_dir() else _("its folder does not exist")
        raise UserError(f"textfile: {path}: {problem}")


async def publish(
    settings: Settings,
    state: Path,
    collected: Collected | None,
    run: Record,
    *,
    unlisted: frozenset[str],
    offline: bool,
) -> list[str]:
    """Write the text file and tell changes, as configured; return what did not work."""
    problems = []
    if settings.textfile is not None and collected is not None:
        text = textfile.render(collected.records, run, unlisted=unlisted, offline=offline)
        problem = await asyncio.to_thread(_write, settings.textfile, text)
        problems += [problem] if problem else []
    wanted = notify.command(settings.notify)
    if wanted is not None:
        found = await asyncio.to_thread(since_last_run, state, run.run)
        problem = await notify.tell(wanted, found, run=run.run)
        problems += [problem] if problem else []
    return problems


def _write(path: str, text: str) -> str | None:
    try:
        atomic_files.write(Path(path).absolute(), text.encode(), mode=_MODE)
    except OSError as error:
        return f"textfile: {path}: {_(error.strerror or str(error))}"
    return None


def since_last_run(state: Path, run: str) -> list[Change]:
    """Return the changes from the run before this one on the same network."""
    files = Results(state).files()[-changes.LOOK_BACK :]
    try:
        known = summaries(files)
        now = next((one for one in known if one.run == run), None)
        before = [one for one in known if one.run < run]  # ids sort by time
        old = next((one for one in before if now and changes.comparable(one, now)), None)
        return changes.between(files, known, old.run, run) if now and old else []
    except (OSError, ResultsError):
        return []
