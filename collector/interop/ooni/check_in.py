"""Which of the operator's targets a client is given. Pure but for its random order.

Rule: a client gets what it asks for and no more: targets of its country and of everywhere. Where it
names no category, sites that are a risk to look at are left out, as they are for our own probes.
"""

import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from collector.interop.ooni.messages import CheckIn
from probe.categories import CAREFUL

# For a person who asked for them, for a timer while the battery is charged, and otherwise.
ALL, MANY, FEW = 1000, 100, 20
_EVERYWHERE = "XX"
_NO_CATEGORY = "MISC"


class ListedUrl(NamedTuple):
    """One target of one of the operator's lists."""

    list: str
    url: str
    category: str


class GivenUrl(NamedTuple):
    """One target as a client gets it."""

    category_code: str
    country_code: str
    url: str


def given(asked: CheckIn, listed: Iterable[ListedUrl], rng: random.Random) -> list[GivenUrl]:
    """The targets of one client, each once, in random order."""
    most = ALL if asked.run_type == "manual" else MANY if asked.charging else FEW
    found = list({one.url: one for one in _fitting(asked, listed)}.values())
    return rng.sample(found, min(len(found), most))


def _fitting(asked: CheckIn, listed: Iterable[ListedUrl]) -> Iterator[GivenUrl]:
    wanted = frozenset((asked.web_connectivity and asked.web_connectivity.category_codes) or ())
    for one in listed:
        country = one.list.upper() if len(one.list) == len(_EVERYWHERE) else _EVERYWHERE
        category = one.category or _NO_CATEGORY
        here = country in {_EVERYWHERE, asked.probe_cc}
        fits = category in wanted if wanted else category not in CAREFUL
        if here and fits:
            yield GivenUrl(category, country, one.url)
