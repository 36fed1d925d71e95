"""Addresses of pages and data. Each keeps the language that a reader chose."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from collector.web.languages import LANGUAGES, NAMES, Language


@dataclass(frozen=True, slots=True)
class LanguageChoice:
    """One choice of the switch: how the language calls itself, and this page in it."""

    code: Language
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses that one page links to.

    Attributes:
        path, query: Of the page itself, without its language.
        chosen: The language that the reader chose by the switch, or None.
    """

    path: str
    query: Mapping[str, str]
    chosen: Language | None

    def to(self, path: str, **query: object) -> str:
        """A page."""
        return _address(path, query | ({"lang": self.chosen} if self.chosen else {}))

    def site(self, name: str) -> str:
        """The page of a site."""
        return self.to(f"/site/{quote(name, safe='')}")

    def network(self, asn: int) -> str:
        """The page of a network."""
        return self.to(f"/network/{asn}")

    def category(self, code: str) -> str:
        """The page of a category."""
        return self.to(f"/category/{quote(code, safe='')}")

    def event(self, id_: str) -> str:
        """The page of an event."""
        return self.to(f"/e/{id_}")

    def event_chart(self, id_: str, name: str) -> str:
        """One chart of an event alone."""
        return self.to(f"/e/{id_}/chart/{name}")

    def wave(self, id_: str) -> str:
        """The page of a wave."""
        return self.to(f"/w/{id_}")

    def here(self, **changes: object) -> str:
        """This page with other parameters; an empty one is left out."""
        return self.to(self.path, **{**self.query, **changes})

    def chart(self, name: str) -> str:
        """One chart of this page alone."""
        return self.to(f"{self._whole}/chart/{name}", **self.query)

    def chart_data(self, name: str) -> str:
        """The data of one chart of this page."""
        return _address(f"{self._whole}/chart/{name}.csv", self.query)

    def whole(self) -> str:
        """The page that this chart is part of."""
        return self.to(self._whole or "/", **self.query)

    @property
    def _whole(self) -> str:
        return self.path.partition("/chart/")[0].rstrip("/")

    def data(self, path: str, **query: object) -> str:
        """Data of the API, which have no language."""
        return _address(path, query)

    def api(self, path: str, **query: object) -> str:
        """The data of this page: the API with the same parameters."""
        return _address(path, {**self.query, **query})

    def languages(self) -> list[LanguageChoice]:
        """This page in every language."""
        return [
            LanguageChoice(code, NAMES[code], _address(self.path, {**self.query, "lang": code}))
            for code in LANGUAGES
        ]


def _address(path: str, query: Mapping[str, object]) -> str:
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path
