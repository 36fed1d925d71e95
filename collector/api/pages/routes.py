"""The routes of the pages for people."""

from collector.api.http import RouteHandler
from collector.api.pages import (
    category,
    event,
    event_list,
    feed,
    interception_table,
    network,
    outages,
    overview,
    site,
    wave,
)
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Parameters
from collector.api.routes import Route
from collector.service import QueueName


def _page(
    path: str,
    handler: RouteHandler,
    takes: type[Parameters] = PersonParameters,
    queue: QueueName = "read",
    media: str = "text/html",
) -> Route:
    statuses = (404,) if "{" in path else ()
    return Route("GET", path, handler, takes, queue, media=(media,), statuses=statuses)


def _with_charts(
    path: str,
    handler: RouteHandler,
    takes: type[Parameters] = PersonParameters,
    queue: QueueName = "read",
) -> tuple[Route, Route]:
    """A page, and its charts, each alone or as data."""
    chart = path.rstrip("/") + "/chart/{chart}"
    media = ("text/html", "text/csv")
    charts = Route("GET", chart, handler, takes, queue, media=media, statuses=(404,))
    return _page(path, handler, takes, queue), charts


PAGES = (
    # This one is made for all readers together.
    *_with_charts("/", overview.get_overview, queue="page"),
    _page("/events", event_list.get_event_list, event_list.EventListParameters),
    *_with_charts("/site/{name}", site.get_site, site.SiteParameters),
    *_with_charts("/network/{asn}", network.get_network, network.NetworkParameters),
    *_with_charts("/category/{code}", category.get_category, category.CategoryParameters),
    *_with_charts("/e/{id}", event.get_event),
    _page("/e/{id}/looks.csv", event.get_looks, Parameters, media="text/csv"),
    *_with_charts("/w/{id}", wave.get_wave),
    _page(
        "/interceptions",
        interception_table.get_interceptions,
        interception_table.AuthorityParameters,
    ),
    *_with_charts("/outages", outages.get_outages, outages.OutageParameters),
    _page("/feed.atom", feed.get_feed, feed.FeedParameters, media="application/atom+xml"),
)
