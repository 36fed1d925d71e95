"""The data files that travel with the program: found in a wheel and in a checkout alike.

Rule: nothing is read before it is asked for, and nothing is ever written here.
"""

import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any


@cache
def root() -> Traversable:
    """The folder of the data: `probe/data` when installed, `targets` in a checkout."""
    installed = files("probe").joinpath("data")
    return installed if installed.is_dir() else Path(__file__).parent.parent / "targets"


def exists(name: str) -> bool:
    """Whether there is such a file."""
    return root().joinpath(name).is_file()


def text(name: str) -> str:
    """One file, as text."""
    return root().joinpath(name).read_text(encoding="utf-8")


def toml(name: str) -> dict[str, Any]:
    """One TOML file, as tables."""
    return tomllib.loads(text(name))


def names(folder: str, suffix: str) -> tuple[str, ...]:
    """The files of one folder that end in `suffix`, without it, sorted."""
    found = (entry.name for entry in root().joinpath(folder).iterdir())
    return tuple(sorted(name.removesuffix(suffix) for name in found if name.endswith(suffix)))
