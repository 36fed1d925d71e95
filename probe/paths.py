"""The folders of the program: one for state, one for the configuration.

`$QAZPROBE_HOME`, if set, is both; else the platform's folders are used. Only the volunteer can read
the state folder: it is created with mode 0700.
"""

import os
from pathlib import Path

from msgspec import Struct

from probe.atomic_files import Lock
from probe.errors import UserError
from probe.i18n import N_, _

VARIABLE = "QAZPROBE_HOME"
LOCK = "run.lock"
_UNKNOWN = N_("this user's home folder is not known: set HOME, or QAZPROBE_HOME to a folder")


class Home(Struct, frozen=True):
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
    if not os.environ.get("HOME", "unset"):
        del os.environ["HOME"]  # empty, it would mean the root folder; unset, the user's account
    chosen = os.environ.get(VARIABLE)
    try:
        home = _chosen(chosen) if chosen else _of_the_platform()
    except (RuntimeError, OSError) as error:
        raise UserError(_(_UNKNOWN)) from error
    if not (home.state.is_absolute() and home.config.is_absolute()):
        raise UserError(_(_UNKNOWN))
    return home


def _chosen(named: str) -> Home:
    folder = Path(named).expanduser().absolute()
    return Home(state=folder, config=folder)


def _of_the_platform() -> Home:
    from platformdirs import user_config_path, user_data_path

    return Home(
        state=user_data_path("qazprobe", appauthor=False),
        config=user_config_path("qazprobe", appauthor=False),
    )


def run_lock(state: Path) -> Lock:
    """The lock of the state folder: held by a run, and taken before the folder is erased."""
    return Lock(state / LOCK)
