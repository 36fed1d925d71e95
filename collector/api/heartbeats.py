"""POST /v1/heartbeat: a probe is on, and reports when it was on without reaching the collector.

Rule: of a heartbeat one bit for five minutes and the network are kept. A report may reach back two
weeks, never forward, and never sets the bit `heard`.
"""

from aiohttp import web

from collector import record_row
from collector.api.auth import SignedRequest, signed_request
from collector.api.http import JSON_TYPE, SMALL_BODY, Refused, answer, expect_type, parse_json
from collector.places import UNKNOWN, KeyPlaces, RequestOrigin
from collector.service import SERVICE
from collector.store import Operation, heartbeats, keys
from collector.store.heartbeats import UnheardPeriod
from collector.store.keys import ProbeNetwork
from probe.api_types import Heartbeat, HeartbeatReply, MissedInterval

BACK_SECONDS = 14 * 86_400.0
# More than a probe ever keeps.
REPORTS_LIMIT = 400


async def post_heartbeat(request: web.Request) -> web.Response:
    """Store a heartbeat, and what it reports of the time without any."""
    service = request.app[SERVICE]
    expect_type(request, JSON_TYPE)
    signed = await signed_request(request, limit=SMALL_BODY)
    wait = service.by_beat.take(signed.key.key_id)
    if wait:
        raise Refused(429, "rate_beat", "too many heartbeats; try again later", retry_after=wait)
    beat = parse_json(signed.body, Heartbeat)
    now = service.clock()
    operation = _store(signed, now, beat, service.origin(request))
    await service.store.write(operation)
    service.monitor.touch()
    service.snapshots.touch()
    return answer(HeartbeatReply(time=int(now)))


def _store(
    signed: SignedRequest, now: float, beat: Heartbeat, origin: RequestOrigin
) -> Operation[None]:
    """One transaction: the heartbeat on its connection's network, and what it reports."""
    yield from signed.accept()
    key_id = signed.key.key_id
    places = KeyPlaces((yield from keys.places_of(key_id, now)), origin)
    claimed = record_row.network_labels(beat.country, beat.asn)
    located = places.here() if origin.country or origin.asn else places.locate(claimed)
    region = record_row.region(beat.region)
    region = region if region.startswith(located.country) else ""
    here = ProbeNetwork(located.country, located.asn, region)
    past = [
        found
        for one in beat.unheard[:REPORTS_LIMIT]
        if (found := _past(one, now, here, places)) is not None
    ]
    known = here if (here.country, here.asn) != UNKNOWN else None
    yield from heartbeats.record_heartbeat(key_id, now, known, past)
    yield from keys.note_places(key_id, places.fresh, origin.prefix, now)


def _past(
    report: MissedInterval, now: float, here: ProbeNetwork, places: KeyPlaces
) -> UnheardPeriod | None:
    """A reported period by the collector's clock.

    None when its ages are impossible, or when no connection showed the key on that network.
    """
    if not 0 <= report.until <= report.since <= BACK_SECONDS:
        return None
    network = here
    if report.country is not None or report.asn is not None:
        located = places.locate(record_row.network_labels(report.country, report.asn))
        if not located.votes:
            return None
        network = ProbeNetwork(located.country, located.asn)
    return UnheardPeriod(
        now - report.since, now - report.until, network, cut=report.reach != "abroad"
    )
