"""POST /v1/heartbeat: a probe is on, on this network, and says when it was on and not heard.

Rule: a heartbeat leaves one bit for five minutes and the network it named. What it tells of the
past may reach back two weeks, never forward, and never becomes "heard".
"""

from aiohttp import web

from collector import record_row
from collector.api.auth import signed_body
from collector.api.http import SMALL_BODY, answer, parse_json
from collector.service import SERVICE
from collector.store import heartbeats
from collector.store.heartbeats import Past
from collector.store.keys import Network
from probe.api_types import Heartbeat, HeartbeatReply, Unheard

BACK_SECONDS = 14 * 86_400.0
# More than a probe ever keeps; the rest is somebody's idea of fun.
TOLD = 400


async def post_heartbeat(request: web.Request) -> web.Response:
    """Note that a key is alive, and since when it was without us."""
    service = request.app[SERVICE]
    key, body = await signed_body(request, limit=SMALL_BODY)
    beat = parse_json(body, Heartbeat)
    here = _network(beat.country, beat.asn, beat.region)
    if here is None:
        origin = service.origin(request)
        here = _network(origin.country, origin.asn, beat.region)
    now = service.clock()
    past = [found for one in beat.unheard[:TOLD] if (found := _past(one, now, here)) is not None]
    await service.store.write(heartbeats.hear(key.key_id, now, here, past))
    service.watch.touch()
    service.snapshots.touch()
    return answer(HeartbeatReply(time=int(now)))


def _network(country: str | None, asn: int | None, region: str | None) -> Network | None:
    if country is None and asn is None:
        return None
    return Network(*record_row.place(country, asn), record_row.region(region))


def _past(told: Unheard, now: float, here: Network | None) -> Past | None:
    """A stay in our own time; None for one that cannot have been."""
    if not 0 <= told.until <= told.since <= BACK_SECONDS:
        return None
    network = _network(told.country, told.asn, None) or here or Network()
    return Past(now - told.since, now - told.until, network, cut=told.reach != "abroad")
