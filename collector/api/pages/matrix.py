"""Sites and networks at one glance, from the votes of now. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from collector.api.pages.chart import ChartTable
from collector.api.pages.page import network_name
from collector.detection.quorum import KINDS, TargetOnNetwork, kinds_held
from collector.places import NetworkKey
from collector.store.measurements import CONCLUSIVE, UNLISTED
from collector.web.words import OUTCOMES

# More columns than these would be no glance; each network has a page.
NETWORKS = 12
_WEIGHT = {outcome: place for place, outcome in enumerate(OUTCOMES)}
_INTERFERING = tuple(KINDS)

Votes = Mapping[TargetOnNetwork, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """What the probes of one network say of one site.

    Attributes:
        outcome: The gravest that a quorum says, else that any says, else the most frequent one.
        certain: Whether a quorum says so.
        agree, able: Probes that say so, and probes that could tell.
    """

    outcome: str
    certain: bool
    agree: int
    able: int


@dataclass(frozen=True, slots=True)
class NetworkHead:
    """The head of a column."""

    country: str
    asn: int
    name: str


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site; its cells are None where no probe measured it."""

    site: str
    category: str
    cells: Sequence[MatrixCell | None]

    @property
    def weight(self) -> tuple[int, int]:
        """Rows with the gravest cells come first."""
        grave = [one for one in self.cells if one is not None and one.outcome in _INTERFERING]
        return -sum(one.certain for one in grave), -len(grave)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The table.

    Attributes:
        left_out: Networks without a column.
    """

    networks: Sequence[NetworkHead]
    rows: Sequence[SiteRow]
    left_out: int


def cell(votes: Mapping[str, int], quorum: int) -> MatrixCell | None:
    """What these numbers of probes by outcome say together."""
    return _cell(tuple(votes.items()), quorum)


# Thousands of cells of a page have a few dozen different numbers.
@lru_cache(maxsize=4096)
def _cell(numbers: tuple[tuple[str, int], ...], quorum: int) -> MatrixCell | None:
    votes = {outcome: n for outcome, n in numbers if n}
    if not votes:
        return None
    able = sum(n for outcome, n in votes.items() if outcome in CONCLUSIVE)
    grave = [outcome for outcome in votes if outcome in _INTERFERING]
    if grave:
        # Those that a quorum is likelier to hold come first.
        worst = min(grave, key=lambda one: (-votes[one], _WEIGHT[one]))
        held = kinds_held(("", "some", 0), votes, quorum)
        return MatrixCell(worst, KINDS[worst] in held, votes[worst], able)
    most = max(votes, key=lambda one: (one in CONCLUSIVE, votes[one], -_WEIGHT.get(one, 99)))
    return MatrixCell(most, votes[most] >= quorum, votes[most], able)


def networks_of(votes: Votes) -> list[NetworkKey]:
    """The networks with votes, those with most of them first."""
    sums: dict[NetworkKey, int] = defaultdict(int)
    for (_, country, asn), of in votes.items():
        sums[country, asn] += sum(of.values())
    return sorted(sums, key=lambda one: (-sums[one], one))


def matrix(
    votes: Votes, sites: Iterable[tuple[str, str]], networks: Collection[NetworkKey], quorum: int
) -> Matrix:
    """The table of these sites (name, category) on these networks."""
    shown = list(networks)[:NETWORKS]
    rows = [
        SiteRow(
            site,
            category,
            [cell(votes.get((site, country, asn), {}), quorum) for country, asn in shown],
        )
        for site, category in sites
    ]
    heads = [NetworkHead(country, asn, network_name(asn)) for country, asn in shown]
    return Matrix(heads, rows, len(networks) - len(shown))


def as_data(votes: Votes, sites: Iterable[str], quorum: int) -> ChartTable:
    """The cells of these sites on all networks as data."""
    wanted = set(sites)
    rows = [
        (site, country, asn, shown.outcome, int(shown.certain), shown.agree, shown.able)
        for (site, country, asn), of in sorted(votes.items())
        if site in wanted and (shown := cell(of, quorum)) is not None
    ]
    return ChartTable(("site", "country", "asn", "outcome", "certain", "agree", "able"), rows)


def worst(votes: Votes) -> list[str]:
    """The sites that any probe found interfered with, those on most networks and by most first."""
    sums: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (site, *_), of in votes.items():
        n = 0
        for outcome in _INTERFERING:
            if outcome in of:
                n += of[outcome]
        if n and site != UNLISTED:
            networks, probes = sums[site]
            sums[site] = networks + 1, probes + n
    return sorted(sums, key=lambda site: (*(-n for n in sums[site]), site))
