"""Routes in the formats of neighbours: IODA's outages, OONI's links to target lists."""

from collector.api import oonirun, outage_events
from collector.api.routes import Route

_TABLE = ("application/json", "text/csv")
_LINK = "/api/v2/oonirun/links/{id}"

NEIGHBOURS = (
    Route(
        "GET",
        "/v1/outages/events",
        outage_events.get_outage_events,
        outage_events.OutageEventParameters,
        "read",
        outage_events.OutageEventPage,
        _TABLE,
        "open",
    ),
    Route(
        "GET", "/api/v2/oonirun/links", oonirun.get_links, reply=oonirun.LinksShown, access="open"
    ),
    Route("GET", _LINK, oonirun.get_link, reply=oonirun.LinkShown, access="open", statuses=(404,)),
    Route(
        "GET",
        f"{_LINK}/full-descriptor/{{revision}}",
        oonirun.get_full_descriptor,
        reply=oonirun.LinkShown,
        access="open",
        statuses=(404,),
    ),
)
