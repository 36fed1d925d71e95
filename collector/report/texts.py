"""The words of a report's page in its languages; tables and data stay English."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources

from collector.report.asked import Language
from probe import i18n
from probe.categories import NAMES
from probe.i18n import _ as translated


class ReportTexts:
    """The texts of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = texts(language)

    def __call__(self, key: str, **values: object) -> str:
        """A text with its gaps filled in."""
        return self._texts[key].format(**values) if values else self._texts[key]

    def category(self, code: str) -> str:
        """The name of a category of sites."""
        name = translated(NAMES[code]) if code in NAMES else code
        return name[:1].upper() + name[1:]

    def country(self, code: str) -> str:
        """The name of a country, or its code."""
        return self._texts.get(f"country_{code}", code)

    def outcome(self, word: str) -> str:
        """An outcome as it stands in tables."""
        return self._texts[f"outcome_{word}"]

    def source(self, word: str) -> str:
        """What an event rests on, or its word."""
        return self._texts.get(f"source_{word}", word)


@cache
def texts(language: Language) -> dict[str, str]:
    """Every text of one language by its key."""
    file = resources.files("collector.report") / "texts" / f"{language}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@contextmanager
def speaking(language: Language) -> Iterator[ReportTexts]:
    """The texts of a language, while the sentences of the rules are in it, too."""
    i18n.use(language)
    try:
        yield ReportTexts(language)
    finally:
        i18n.use("en")
