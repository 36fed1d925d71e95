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


PAGES = (
    # This one is made for all readers together.
    _page("/", overview.get_overview, queue="page"),
    _page("/events", event_list.get_event_list, event_list.EventListParameters),
    _page("/site/{name}", site.get_site),
    _page("/network/{asn}", network.get_network),
    _page("/category/{code}", category.get_category, category.CategoryParameters),
    _page("/e/{id}", event.get_event),
    _page("/e/{id}/looks.csv", event.get_looks, Parameters, media="text/csv"),
    _page("/w/{id}", wave.get_wave),
    _page(
        "/interceptions",
        interception_table.get_interceptions,
        interception_table.AuthorityParameters,
    ),
    _page("/outages", outages.get_outages, outages.OutageParameters),
    _page("/feed.atom", feed.get_feed, feed.FeedParameters, media="application/atom+xml"),
)
