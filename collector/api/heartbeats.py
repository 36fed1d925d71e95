"""POST /v1/heartbeat: a probe is on, and reports when it was on without reaching the collector.

Rule: of a heartbeat one bit for five minutes and the network are kept. A report may reach back two
weeks, never forward, and never sets the bit `heard`.
"""

from collections.abc import Sequence

from aiohttp import web

from collector import record_row
from collector.api.auth import SignedRequest, signed_request
from collector.api.http import SMALL_BODY, answer, parse_json
from collector.service import SERVICE
from collector.store import Operation, heartbeats
from collector.store.heartbeats import UnheardPeriod
from collector.store.keys import ProbeNetwork
from probe.api_types import Heartbeat, HeartbeatReply, MissedInterval

BACK_SECONDS = 14 * 86_400.0
# More than a probe ever keeps.
REPORTS_LIMIT = 400


async def post_heartbeat(request: web.Request) -> web.Response:
    """Store a heartbeat, and what it reports of the time without any."""
    service = request.app[SERVICE]
    signed = await signed_request(request, limit=SMALL_BODY)
    beat = parse_json(signed.body, Heartbeat)
    here = _network(beat.country, beat.asn, beat.region)
    if here is None:
        origin = service.origin(request)
        here = _network(origin.country, origin.asn, beat.region)
    now = service.clock()
    past = [
        found
        for one in beat.unheard[:REPORTS_LIMIT]
        if (found := _past(one, now, here)) is not None
    ]
    await service.store.write(_write(signed, now, here, past))
    service.monitor.touch()
    service.snapshots.touch()
    return answer(HeartbeatReply(time=int(now)))


def _write(
    signed: SignedRequest, now: float, here: ProbeNetwork | None, past: Sequence[UnheardPeriod]
) -> Operation[None]:
    yield from signed.accept()
    yield from heartbeats.record_heartbeat(signed.key.key_id, now, here, past)


def _network(country: str | None, asn: int | None, region: str | None) -> ProbeNetwork | None:
    if country is None and asn is None:
        return None
    return ProbeNetwork(*record_row.network_labels(country, asn), record_row.region(region))


def _past(report: MissedInterval, now: float, here: ProbeNetwork | None) -> UnheardPeriod | None:
    """A reported period by the collector's clock; None when its ages are impossible."""
    if not 0 <= report.until <= report.since <= BACK_SECONDS:
        return None
    network = _network(report.country, report.asn, None) or here or ProbeNetwork()
    return UnheardPeriod(
        now - report.since, now - report.until, network, cut=report.reach != "abroad"
    )
