"""Where this program keeps its things: one folder for state, one for the configuration.

`$QAZPROBE_HOME`, when set, holds everything; else the platform's own folders do. Everything in the
state folder is the volunteer's and nobody else's: folders are made with mode 0700.
"""

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "QAZPROBE_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """The two folders; neither need exist yet.

    Attributes:
        state: Keys, consent, lock, spool, results, journal, log.
        config: Where `qazprobe.toml` is looked for.
    """

    state: Path
    config: Path

    def ready(self) -> Path:
        """Make the state folder if it is missing, readable by its owner alone, and return it."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.state


def find() -> Home:
    """The folders for this user, by the environment or the platform's rules."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        return Home(state=folder, config=folder)
    from platformdirs import user_config_path, user_data_path

    return Home(
        state=user_data_path("qazprobe", appauthor=False),
        config=user_config_path("qazprobe", appauthor=False),
    )
