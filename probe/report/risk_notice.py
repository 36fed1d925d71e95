"""Say once, before the first run that has them, why some experiments and lists need a thought.

What was said is kept in the state folder, so that a timer does not say it again every hour.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from probe import atomic_files
from probe.config import Settings
from probe.reference_data import cautions

FILE = "cautions.json"


def due(settings: Settings, state: Path) -> tuple[str, ...]:
    """What has not been said on this machine yet; from now on it has."""
    wanted = dict(_wanted(settings))
    said = _said(state)
    fresh = {name: text for name, text in wanted.items() if name not in said}
    if fresh:
        atomic_files.write(state / FILE, msgspec.json.encode(sorted(said | set(fresh))) + b"\n")
    return tuple(f"{name} {text}" for name, text in fresh.items())


def _wanted(settings: Settings) -> Iterator[tuple[str, str]]:
    for caution in cautions():
        for name in settings.experiments:
            if name in caution.experiments:
                yield f"-e {name}", caution.text
        for name in settings.targets:
            if name in caution.lists:
                yield f"--targets {name}", caution.text


def _said(state: Path) -> set[str]:
    """What was said before; a file that cannot be understood says that nothing was."""
    try:
        return set(msgspec.json.decode((state / FILE).read_bytes(), type=list[str]))
    except (OSError, msgspec.MsgspecError):
        return set()
