"""The attempts of a run at hosts, of one kind each, in the order of time and in little memory."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from sys import intern
from typing import NamedTuple

# What was attempted: operation, port, address family (0: none).
Kind = tuple[str, int, int]


class HostAttempt(NamedTuple):
    """One attempt at a host.

    Attributes:
        at: Seconds since the epoch.
        host: The registered name; its subdomains are not unrelated.
        address: Where it went; empty for a query.
        sign: `ok`, a failure word, or what identifies a page, a chain or an answer.
    """

    at: float
    host: str
    address: str
    sign: str


class Texts:
    """Numbers for texts, most of which the records of a run share."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._texts: list[str] = []

    def number(self, text: str) -> int:
        """The number of a text, until all are known."""
        found = self._known.setdefault(text, len(self._texts))
        if found == len(self._texts):
            # A failure is a text of its own class. Other facts of the line have the hosts, too.
            self._texts.append(intern(str(text)))
        return found

    def complete(self) -> None:
        """All texts are known: forget what finds their numbers."""
        self._known.clear()

    def __getitem__(self, number: int) -> str:
        return self._texts[number]


class Attempts:
    """The attempts of one kind, 20 bytes each; a run has several for each target.

    Attributes:
        hosts: How many hosts there are; after `sort`.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._moments = array("d")
        self._named = (array("I"), array("I"), array("I"))
        self.hosts = 0

    def add(self, one: HostAttempt) -> None:
        """Add one attempt, in any order."""
        self._moments.append(one.at)
        for numbers, text in zip(self._named, (one.host, one.address, one.sign), strict=True):
            numbers.append(self._texts.number(text))

    def sort(self) -> None:
        """Bring them into the order of time, for `between`."""
        order = sorted(range(len(self._moments)), key=self.at)
        self._moments = array("d", map(self._moments.__getitem__, order))
        host, address, sign = (
            array("I", map(numbers.__getitem__, order)) for numbers in self._named
        )
        self._named = (host, address, sign)
        self.hosts = len(set(host))

    def between(self, first: float, last: float) -> tuple[int, int]:
        """The index of the first attempt from `first` on, and of the first one after `last`."""
        return bisect_left(self._moments, first), bisect_right(self._moments, last)

    def at(self, index: int) -> HostAttempt:
        """One attempt, by its place in time."""
        host, address, sign = (self._texts[numbers[index]] for numbers in self._named)
        return HostAttempt(self._moments[index], host, address, sign)

    def __iter__(self) -> Iterator[HostAttempt]:
        return map(self.at, range(len(self._moments)))
