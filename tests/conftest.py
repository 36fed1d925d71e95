"""Every test begins in English, and those that play networks run one after another.

Tests of the laboratory measure times, so that two of them at once would disturb each other. With
several processes (`make test`) one of them runs all of these, and the others run the rest.
"""

import os
from collections.abc import Iterator

import pytest

from probe import i18n

os.environ["LANGUAGE"] = "en"  # for the programs that tests start


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that must not run beside each other into one group of pytest-xdist."""
    for item in items:
        marked = item.get_closest_marker("lab") or item.get_closest_marker("slow")
        if marked or "e2e" in item.path.parts:
            item.add_marker(pytest.mark.xdist_group("one after another"))


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.ask(lambda: "en")
    yield
    i18n.ask(lambda: "en")
