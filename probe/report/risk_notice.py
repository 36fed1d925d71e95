"""Risk notices of some experiments and lists, shown once before the first run that uses them.

The state folder records which were shown, so that a timer does not repeat them.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from probe import atomic_files
from probe.config import Settings
from probe.reference_data import risk_notices

FILE = "cautions.json"


def due(settings: Settings, state: Path) -> tuple[str, ...]:
    """Return the notices not shown on this machine yet, and record them as shown."""
    wanted = dict(_wanted(settings))
    shown = _shown(state)
    fresh = {name: text for name, text in wanted.items() if name not in shown}
    if fresh:
        atomic_files.write(state / FILE, msgspec.json.encode(sorted(shown | set(fresh))) + b"\n")
    return tuple(f"{name} {text}" for name, text in fresh.items())


def _wanted(settings: Settings) -> Iterator[tuple[str, str]]:
    for caution in risk_notices():
        for name in settings.experiments:
            if name in caution.experiments:
                yield f"-e {name}", caution.text
        for name in settings.targets:
            if name in caution.lists:
                yield f"--targets {name}", caution.text


def _shown(state: Path) -> set[str]:
    """Return the notices shown before; empty if the file is missing or unreadable."""
    try:
        return set(msgspec.json.decode((state / FILE).read_bytes(), type=list[str]))
    except (OSError, msgspec.MsgspecError):
        return set()
