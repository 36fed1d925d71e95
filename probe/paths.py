"""The folders of the program: one for state, one for the configuration.

`$QAZPROBE_HOME`, if set, is both; else the platform's folders are used. Only the volunteer can read
the state folder: it is created with mode 0700.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from probe.atomic_files import Lock

VARIABLE = "QAZPROBE_HOME"
LOCK = "run.lock"


@dataclass(frozen=True, slots=True)
class Home:
    """The two folders; they may not exist yet.

    Attributes:
        state: Keys, consent, lock, spool, results, journal, log.
        config: The folder of `qazprobe.toml`.
    """

    state: Path
    config: Path

    def ready(self) -> Path:
        """Create the state folder if it is missing, with access for its owner only; return it."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.state


def find() -> Home:
    """Return this user's folders, by the environment or the platform's rules."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        return Home(state=folder, config=folder)
    from platformdirs import user_config_path, user_data_path

    return Home(
        state=user_data_path("qazprobe", appauthor=False),
        config=user_config_path("qazprobe", appauthor=False),
    )


def run_lock(state: Path) -> Lock:
    """The lock of the state folder: held by a run, and taken before the folder is erased."""
    return Lock(state / LOCK)
