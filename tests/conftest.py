"""Every test begins in English, whatever the language of the machine it runs on."""

import os
from collections.abc import Iterator

import pytest

from probe import i18n

os.environ["LANGUAGE"] = "en"  # for the programs that tests start


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.ask(lambda: "en")
    yield
    i18n.ask(lambda: "en")
