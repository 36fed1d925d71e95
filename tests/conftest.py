"""Every test begins in English, whatever the language of the machine it runs on."""

import os
from collections.abc import Generator, Iterator

import pytest

from probe import i18n
from tests.one_machine import share_of_machine, slow_first

os.environ["LANGUAGE"] = "en"  # for the programs that tests start


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.ask(lambda: "en")
    yield
    i18n.ask(lambda: "en")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test marked `alone` waits until no other runs, its fixtures included."""
    with share_of_machine(alone=item.get_closest_marker("alone") is not None):
        return (yield)
