"""GET /api/v2/oonirun/links/ID: the operator's target lists as OONI Run link descriptors.

`ooniprobe oonirun` and `miniooni oonirun -i URL` measure what a descriptor names. Rule: it has the
public lists of `/v1/targets`, and readers cannot add links.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from aiohttp import web

from collector.api.http import Refused
from collector.api.lists import give_json
from collector.service import SERVICE
from probe.link_descriptor import Nettest, web_test

_NEVER = "2099-12-31T00:00:00Z"
_AUTHOR = "qazcollector"


class LinkShown(msgspec.Struct, frozen=True, kw_only=True):
    """A target list as a link.

    Attributes:
        oonirun_link_id: The number of the list here, from 1.
        revision: Changes when the list does. It is made of the list, and does not grow.
        date_created, date_updated: When this collector first gave this revision.
    """

    oonirun_link_id: str
    name: str
    name_intl: dict[str, str] = {}
    short_description: str
    short_description_intl: dict[str, str] = {}
    description: str
    description_intl: dict[str, str] = {}
    icon: str = ""
    color: str = ""
    author: str = _AUTHOR
    nettests: Sequence[Nettest]
    revision: str
    date_created: str
    date_updated: str
    expiration_date: str = _NEVER
    is_expired: bool = False
    is_mine: bool = False


class LinksShown(msgspec.Struct, frozen=True, kw_only=True):
    """All target lists as links."""

    oonirun_links: Sequence[LinkShown]


async def get_link(request: web.Request) -> web.Response:
    """A target list as the descriptor of an OONI Run link, by its number or name."""
    links, id_ = _links(request), request.match_info["id"]
    found = [one for one in links if id_ in {one.oonirun_link_id, one.name}]
    if not found:
        known = ", ".join(f"{one.oonirun_link_id} ({one.name})" for one in links)
        raise Refused(404, "unknown_link", f"links here: {known or 'none'}")
    return await give_json(request, found[0])


async def get_full_descriptor(request: web.Request) -> web.Response:
    """The same; only the newest revision of a list is here."""
    return await get_link(request)


async def get_links(request: web.Request) -> web.Response:
    """All target lists as OONI Run links."""
    return await give_json(request, LinksShown(oonirun_links=_links(request)))


def _links(request: web.Request) -> list[LinkShown]:
    service = request.app[SERVICE]
    lists: dict[str, list[tuple[str, str]]] = {name: [] for name in service.labels.names}
    for name, url, category in service.labels.listed:
        lists[name].append((url, category))
    return [
        _link(number, name, tuple(targets))
        for number, (name, targets) in enumerate(lists.items(), 1)
    ]


@lru_cache(maxsize=32)
def _link(number: int, name: str, targets: tuple[tuple[str, str], ...]) -> LinkShown:
    """A list as a link; made once, which is when this process first gave this revision."""
    digest = hashlib.sha256(msgspec.json.encode(targets)).digest()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return LinkShown(
        oonirun_link_id=str(number),
        name=name,
        short_description=f"{len(targets)} sites",
        description=f"The target list {name} of a qazprobe collector: {len(targets)} sites.",
        nettests=[web_test(targets)],
        revision=str(int.from_bytes(digest[:4], "big") >> 1),
        date_created=now,
        date_updated=now,
    )
