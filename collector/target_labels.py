"""The targets that this collector shows by name; every other target is `unlisted`.

Rule: target labels come only from here. A probe's own names and categories never become labels, so
that a probe cannot invent series.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from collector.store.measurements import UNLISTED
from probe import list_table, targets
from probe.list_table import ListTable
from probe.target_rows import COLUMNS
from probe.targets import Target, TargetError

DEFAULT_LISTS = ("kz", "global")
# Citizen Lab's, and what profiles need. Other columns of an operator's file are not published.
_COLUMNS = (*COLUMNS, "purpose")


class TargetLabels:
    """The listed targets, and each target list as CSV."""

    def __init__(
        self,
        lists: Sequence[tuple[str, Sequence[Target]]],
        tables: Mapping[str, ListTable] = MappingProxyType({}),
    ) -> None:
        every = [target for _, found in lists for target in found]
        self._labels = {target.url: targets.slug(target.url) for target in every}
        self._services = {f"service:{name}": name for name in targets.services()}
        self._categories = {self._labels[t.url]: t.category or "" for t in reversed(every)}
        self._lists = _by_label(lists, self._labels)
        self._listed = tuple(
            (name, t.url, t.category or "") for name, found in lists for t in found
        )
        self._texts = {name: table.only(_COLUMNS).as_csv() for name, table in tables.items()}
        self._texts.setdefault("", list_table.merged(tables.values()).only(_COLUMNS).as_csv())

    def become(self, other: "TargetLabels") -> None:
        """Take over the lists of another one: all holders of this one see them."""
        vars(self).update(vars(other))

    def label(self, url: str) -> str:
        """The `target` label of a normalised URL or a known service, or `unlisted`."""
        return self._labels.get(url) or self._services.get(url, UNLISTED)

    def category(self, label: str) -> str:
        """The category of a `target` label; empty when it has none."""
        return self._categories.get(label, "")

    @property
    def by_category(self) -> dict[str, str]:
        """The category of each listed `target` label."""
        return dict(self._categories)

    def lists_of(self, label: str) -> Sequence[str]:
        """The names of the lists that have a target."""
        return self._lists.get(label, ())

    @property
    def categories(self) -> list[str]:
        """The categories of the listed targets."""
        return sorted({one for one in self._categories.values() if one})

    def targets_of(self, category: str) -> list[str]:
        """The `target` labels of a category."""
        return sorted(label for label, of in self._categories.items() if of == category)

    def __contains__(self, url: str) -> bool:
        return url in self._labels

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the lists."""
        return tuple(name for name in self._texts if name)

    @property
    def listed(self) -> Sequence[tuple[str, str, str]]:
        """Every listed target: its list, its URL, its category."""
        return self._listed

    def text(self, name: str) -> tuple[str, str] | None:
        """One list (all of them for an empty name) as CSV, and its ETag; None when unknown."""
        text = self._texts.get(name)
        if text is None:
            return None
        return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _by_label(
    lists: Sequence[tuple[str, Sequence[Target]]], labels: Mapping[str, str]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, of in lists:
        for label in {labels[target.url] for target in of}:
            found.setdefault(label, []).append(name)
    return found


def load(specs: Sequence[str]) -> tuple[TargetLabels, tuple[str, ...]]:
    """Read lists by name or file; also return one message for each row that was left out.

    Raises:
        TargetError: There is no such list.
    """
    lists: list[tuple[str, Sequence[Target]]] = []
    tables: dict[str, ListTable] = {}
    complaints: list[str] = []
    for spec in specs or [name for name in DEFAULT_LISTS if name in targets.list_names()]:
        found, problems = targets.load(spec, lab=True)  # nothing is fetched here
        # The list is named after the file, without its path, which is private to the operator.
        lists.append((Path(spec).stem, found))
        tables[Path(spec).stem] = list_table.read(targets.body(spec), spec, lab=True)[0]
        complaints += [f"{problem.file}:{problem.line}: {problem.message}" for problem in problems]
    return TargetLabels(lists, tables), tuple(complaints)


def normalise(text: str) -> str | None:
    """A URL in the spelling that is used as key, or None when it is no URL."""
    try:
        return targets.parse_url(text)
    except TargetError:
        return None
