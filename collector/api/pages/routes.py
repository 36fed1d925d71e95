"""The routes of the pages for people."""

from collector.api.http import RouteHandler
from collector.api.pages import category, event_list, network, overview, site
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Parameters
from collector.api.routes import Route
from collector.service import QueueName


def _page(
    path: str,
    handler: RouteHandler,
    takes: type[Parameters] = PersonParameters,
    queue: QueueName = "read",
) -> Route:
    statuses = (404,) if "{" in path else ()
    return Route("GET", path, handler, takes, queue, media=("text/html",), statuses=statuses)


PAGES = (
    # This one is made for all readers together.
    _page("/", overview.get_overview, queue="page"),
    _page("/events", event_list.get_event_list, event_list.EventListParameters),
    _page("/site/{name}", site.get_site),
    _page("/network/{asn}", network.get_network),
    _page("/category/{code}", category.get_category),
)
