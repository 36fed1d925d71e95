"""GET /interceptions: whose forged certificates were served, for which names, on which networks."""

from typing import ClassVar

from aiohttp import web

from collector.api import interceptions, parameters
from collector.api.interceptions import InterceptionParameters
from collector.api.pages import page
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Asn, Count, Country, Cursor, Instant, Text

ROWS = 25


class AuthorityParameters(PersonParameters, frozen=True, kw_only=True):
    """Which interceptions are wanted."""

    empty_is_none: ClassVar[bool] = True

    target: Text = ""
    country: Country | None = None
    asn: Asn | None = None
    since: Instant | None = None
    until: Instant | None = None
    min_probes: Count = 1
    cursor: Cursor | None = None


async def get_interceptions(request: web.Request) -> web.Response:
    """Forged certificates by authority and intermediate, with names, networks and PEM."""
    asked = parameters.of(request, AuthorityParameters)
    wanted = InterceptionParameters(
        target=asked.target,
        country=asked.country,
        asn=asked.asn,
        since=asked.since,
        until=asked.until,
        min_probes=asked.min_probes,
        cursor=asked.cursor,
        limit=ROWS,
    )
    table = await interceptions.asked_page(request, wanted)
    return await page.give(request, "interceptions.html", asked.lang, it=table, asked=asked)
