"""The endpoints without authentication: service, vantage, targets, health and metrics."""

import ipaddress
from datetime import UTC, datetime

from aiohttp import web
from msgspec.structs import replace

from collector.api import parameters
from collector.api.http import Refused, answer
from collector.api.parameters import Parameters, Text
from collector.judging.watch import STALL_SECONDS
from collector.metrics.exposition import CONTENT_TYPE
from collector.service import SERVICE, Service
from collector.store import keys
from probe import targets
from probe.api_types import BulkReply, ServiceReply, VantageReply


async def get_service(request: web.Request) -> web.Response:
    """The collector's id, enrolment mode and throughput servers."""
    service = request.app[SERVICE]
    own = (_reachable(request, service.bulk),) if service.bulk else ()
    reply = ServiceReply(
        collector_id=service.store.collector_id,
        lab=service.settings.lab,
        enrolment=service.settings.enrolment,
        bulk=(*own, *service.settings.bulk_also),
    )
    return answer(reply)


def _reachable(request: web.Request, bulk: BulkReply) -> BulkReply:
    """The throughput server; if it listens on all addresses, with the one the client reached."""
    try:
        everywhere = ipaddress.ip_address(bulk.address).is_unspecified
    except ValueError:
        everywhere = False
    own = request.get_extra_info("sockname")
    return replace(bulk, address=own[0]) if everywhere and own else bulk


async def get_vantage(request: web.Request) -> web.Response:
    """The client's country and network; its address is not stored."""
    service = request.app[SERVICE]
    origin = service.origin(request)
    name = targets.networks().get(origin.asn) if origin.asn else None
    now = datetime.fromtimestamp(service.clock(), UTC)
    time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    reply = VantageReply(country=origin.country, asn=origin.asn, network=name, time=time)
    response = answer(reply)
    response.headers["Cache-Control"] = "no-store"
    return response


class ListParameters(Parameters, frozen=True, kw_only=True):
    """Which target list is wanted; without a name the first one. `list` is the same as `name`."""

    name: Text | None = None
    list: Text = ""


async def get_targets(request: web.Request) -> web.Response:
    """A target list as Citizen Lab's CSV, or 304 if the client has it already."""
    asked = parameters.of(request, ListParameters)
    name = asked.list if asked.name is None else asked.name
    labels = request.app[SERVICE].labels
    found = labels.text(name)
    if found is None:
        raise Refused(404, "unknown_list", f"lists here: {', '.join(labels.names) or 'none'}")
    text, etag = found
    headers = {"ETag": etag, "Cache-Control": "public, max-age=3600"}
    known = {tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")}
    if etag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


async def get_healthz(_request: web.Request) -> web.Response:
    """Liveness: the process answers."""
    return web.Response(text="ok\n")


async def get_readyz(request: web.Request) -> web.Response:
    """Readiness: the store answers and takes writes, and batches are stored and judged."""
    await check_ready(request.app[SERVICE])
    return web.Response(text="ready\n")


async def check_ready(service: Service) -> None:
    """Read from the store, and look whether it takes writes and whether records move.

    Raises:
        Refused, StoreUnavailable: It is not ready.
    """
    await service.store.read(keys.find_key(""))
    if service.store.unhealthy:
        raise Refused(503, "store", "the store refused the last write")
    if service.ingesting.stalled or service.backlog.stalled:
        what = "batch was stored" if service.ingesting.stalled else "waiting record was judged"
        raise Refused(503, "stalled", f"no {what} for {STALL_SECONDS:.0f} seconds")


async def get_metrics(request: web.Request) -> web.Response:
    """All metrics in Prometheus's text format."""
    service = request.app[SERVICE]
    families = await service.snapshots.exposition()
    body = service.instruments.encode() + families
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
