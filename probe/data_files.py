"""Read the data files that are shipped with the program, from a wheel or from a checkout.

Rule: a file is read when it is first needed; nothing is written here.
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
    """Whether this file exists."""
    return root().joinpath(name).is_file()


def text(name: str) -> str:
    """One file, as text."""
    return root().joinpath(name).read_text(encoding="utf-8")


def toml(name: str) -> dict[str, Any]:
    """One TOML file, as tables."""
    return tomllib.loads(text(name))


def names(folder: str, suffix: str) -> tuple[str, ...]:
    """The names of one folder's files that end in `suffix`, without the suffix, sorted."""
    found = (entry.name for entry in root().joinpath(folder).iterdir())
    return tuple(sorted(name.removesuffix(suffix) for name in found if name.endswith(suffix)))
