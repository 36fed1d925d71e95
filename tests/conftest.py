"""Every test begins in English, and those that play networks run one after another.

Tests of the laboratory measure times, so that two of them at once would disturb each other. With
several processes (`make test`) one of them runs all of these, and the others run the rest.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe import i18n

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

os.environ["LANGUAGE"] = "en"  # for the programs that tests start


@cache
def _measures_times(file: str) -> bool:
    """Whether a test file plays networks, by its folder or by the marks in it."""
    path = Path(__file__).parents[1] / file
    return "e2e" in path.parts or bool(re.search(r"mark\.(lab|slow)\b", path.read_text("utf-8")))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "Scheduling":
    """Give each process whole files; those that measure times all go to the same one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "one after another" if _measures_times(file) else file

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.ask(lambda: "en")
    yield
    i18n.ask(lambda: "en")
