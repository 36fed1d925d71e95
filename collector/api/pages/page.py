"""What every page for people does: its language, its links, its headers, and refusals as a page.

Rule: a page shows what the API tells the same reader, and no more.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from aiohttp import web

from collector.api import negotiation
from collector.api.http import Refused, RouteHandler
from collector.api.parameters import Parameters
from collector.api.readers import least_probes
from collector.care import Care
from collector.metrics.counting import Snapshot
from collector.service import SERVICE
from collector.web import languages, rendering
from collector.web.languages import Language
from collector.web.links import Links
from probe import __version__, reference_data

_VARY = "Accept, Accept-Encoding, Accept-Language, Authorization"


class PersonParameters(Parameters, frozen=True, kw_only=True):
    """The parameters that every page has."""

    lang: Language | None = None


async def give(
    request: web.Request,
    template: str,
    chosen: Language | None,
    status: int = 200,
    /,
    **values: object,
) -> web.Response:
    """A page, in the reader's language."""
    service = request.app[SERVICE]
    language = chosen or languages.preferred(request.headers.get("Accept-Language", ""))
    text = await asyncio.to_thread(
        rendering.render,
        template,
        language,
        **{"chart": "", **values},
        # As it was sent: a name may have slashes and question marks in it.
        links=Links(request.rel_url.raw_path, query_of(request), chosen),
        now=service.clock(),
        version=__version__,
        lab=service.settings.lab,
    )
    headers = {
        "Content-Security-Policy": rendering.policy(rendering.PUBLIC),
        "Content-Language": language,
        "Vary": _VARY,
    }
    response = await negotiation.give(request, text.encode(), "html", headers=headers)
    if status != 200:
        response.set_status(status)
    return response


def query_of(request: web.Request) -> Mapping[str, str]:
    """The parameters of a request, without its language."""
    return {name: value for name, value in request.query.items() if name != "lang"}


def care_of(request: web.Request, snapshot: Snapshot) -> Care:
    """What decides which looks are coarse for this reader, by the standings of a snapshot.

    Those of now would be read anew for each page while records arrive.
    """
    return Care(least_probes(request), snapshot.standings)


def day_of(at: float) -> str:
    """The day of an instant, as forms have it."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None


def network_name(asn: int) -> str:
    """The name that people know a network by; empty where it is not listed."""
    return reference_data.networks().get(asn, "")


def for_people(handler: RouteHandler) -> RouteHandler:
    """A handler whose refusals are pages, for clients that accept these."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            if "text/html" not in request.headers.get("Accept", ""):
                raise
            request.app[SERVICE].instruments.rejected.labels(refused.reason).inc()
            chosen = request.query.get("lang", "")
            named: dict[str, Language] = {one: one for one in languages.LANGUAGES}
            language = named.get(chosen)
            response = await give(
                request, "refusal.html", language, refused.status, refusal=str(refused)
            )
            response.headers.extend(refused.headers)
            return response

    return handle


__all__ = ["PersonParameters", "care_of", "for_people", "give", "least_probes", "network_name"]
