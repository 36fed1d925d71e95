"""What OONI's clients send: reports of old ones, submissions of new ones.

Rule: these clients have no key, so the limits are by network and for all of them together, and
their records count in no vote. A client takes no other status than 200 for success.
"""

from functools import partial

import msgspec
from aiohttp import web

from collector.api import operator_access, parameters
from collector.api.http import JSON_TYPE, Refused, answer
from collector.api.ooni_bodies import read_message, run_apart
from collector.api.parameters import Parameters, Text
from collector.interop.ooni import conversion, names, taking
from collector.interop.ooni.credentials import CredentialAuthority
from collector.interop.ooni.messages import (
    BODY_BYTES,
    MEASUREMENT_BYTES,
    MeasurementHead,
    OpenReply,
    OpenReport,
    Submission,
    SubmissionReply,
    Update,
    UpdateReply,
)
from collector.interop.ooni.names import ReportOf
from collector.interop.ooni.originals import original
from collector.interop.ooni.taking import NotTaken, Taken
from collector.rate_limit import TokenBuckets
from collector.record_row import BatchContext
from collector.service import SERVICE, Service
from probe import __version__

SMALL = 16 * 1024
# So many bytes count as one measurement.
_PORTION = 64 * 1024
_DAY = 86_400.0
# One network may use so much of what all may send in a day.
_SHARE = 0.25
_BUSY_SECONDS = 60.0
_FULL_SECONDS = 3600.0
AUTHORITY: web.AppKey[CredentialAuthority | None] = web.AppKey("ooni_authority")
DAILY = web.AppKey("ooni_daily", tuple)


def daily_buckets(service: Service) -> tuple[TokenBuckets, TokenBuckets]:
    """What may be stored in a day: by all clients, and by those of one network."""
    total = float(service.settings.ooni.daily_bytes)
    clock = service.clock
    return (
        TokenBuckets(total, total / _DAY, clock),
        TokenBuckets(_SHARE * total, _SHARE * total / _DAY, clock),
    )


async def post_report(request: web.Request) -> web.Response:
    """Begin a report: old clients do before they send its measurements."""
    service = request.app[SERVICE]
    asked = await read_message(request, OpenReport, limit=SMALL)
    of = ReportOf(asked.test_name, asked.probe_cc, asked.probe_asn)
    name = names.report_id(of, service.clock(), service.report_secret)
    return answer(msgspec.to_builtins(OpenReply(backend_version=__version__, report_id=name)))


async def post_update(request: web.Request) -> web.Response:
    """Keep one measurement of a report."""
    service = request.app[SERVICE]
    _limit(request, service)
    message = await read_message(request, Update, limit=BODY_BYTES)
    content = bytes(message.content)
    head = _head(content)
    of = ReportOf(head.test_name, head.probe_cc, head.probe_asn)
    name = request.match_info["report_id"]
    if not names.is_report_of(name, of, service.report_secret):
        raise Refused(400, "ooni_report", "no report of such measurements has this name here")
    taken = await _take(request, content)
    return answer(msgspec.to_builtins(UpdateReply(measurement_uid=taken.uid)))


async def post_close(request: web.Request) -> web.Response:
    """End a report: clients of years ago do; nothing is remembered of it."""
    service = request.app[SERVICE]
    if not names.is_report(request.match_info["report_id"], service.report_secret):
        raise Refused(400, "ooni_report", "no report has this name here")
    return answer({})


async def post_submission(request: web.Request) -> web.Response:
    """Keep one measurement, as clients from version 3.30 on send it."""
    service = request.app[SERVICE]
    _limit(request, service)
    message = await read_message(request, Submission, limit=BODY_BYTES)
    content = message.content.encode("utf-8", "surrogatepass")
    head = _head(content)
    reply = await _verified(request, message, head)
    taken = await _take(request, content)
    of = ReportOf(head.test_name, head.probe_cc, head.probe_asn)
    report = names.report_id(of, service.clock(), service.report_secret)
    named = msgspec.structs.replace(reply, measurement_uid=taken.uid, report_id=report)
    return answer(msgspec.to_builtins(named))


async def _verified(
    request: web.Request, message: Submission, head: MeasurementHead
) -> SubmissionReply:
    """What the anonymous credential of a submission is worth, if it has one."""
    if message.nym is None or message.zkp_request is None:
        return SubmissionReply()
    authority = request.app[AUTHORITY]
    if authority is None:
        return SubmissionReply(verification_status="failed", error="no_credentials_here")
    service = request.app[SERVICE]
    reply = await run_apart(request, partial(authority.verify, message, head))
    service.instruments.ooni_credentials.labels(reply.verification_status).inc()
    return reply


class OriginalParameters(Parameters, frozen=True, kw_only=True):
    """Which measurement is wanted."""

    measurement_uid: Text


async def get_original(request: web.Request) -> web.Response:
    """A measurement as its client wrote it but for addresses; for the operator."""
    operator_access.check(request)
    asked = parameters.of(request, OriginalParameters)
    service = request.app[SERVICE]
    found = await service.store.read(original(asked.measurement_uid))
    if found is None:
        raise Refused(404, "unknown", "this measurement is not kept here")
    return web.Response(body=found, content_type=JSON_TYPE)


def _limit(request: web.Request, service: Service) -> None:
    """Refuse before the body is read; a large one takes the place of several."""
    size = min(request.content_length or MEASUREMENT_BYTES, BODY_BYTES)
    network = service.network(request)
    cost = max(1.0, size / _PORTION)
    wait = 0.0 if network is None else service.by_ooni.take(network, cost)
    if wait:
        raise Refused(429, "rate_ooni", "too many measurements; try again later", retry_after=wait)
    if service.backlog.full:
        message = "more is waiting to be judged than is kept; try again later"
        raise Refused(503, "backlog", message, retry_after=_BUSY_SECONDS)


def _head(content: bytes) -> MeasurementHead:
    try:
        return taking.head_of(content)
    except NotTaken as error:
        status = 413 if len(content) > MEASUREMENT_BYTES else 400
        raise Refused(status, "ooni_malformed", str(error)) from error


async def _take(request: web.Request, content: bytes) -> Taken:
    service = request.app[SERVICE]
    origin = service.origin(request)._replace(prefix="")
    key_id = names.key_of(origin.country or "ZZ", origin.asn or 0)
    lab = service.settings.lab
    context = BatchContext(key_id, "probe", lab, service.clock(), origin, votes=False)
    work = partial(
        taking.take,
        content,
        context,
        conversion.record_of,
        peer=service.peer(request),
        keeps=service.settings.ooni.originals,
    )
    try:
        taken = await run_apart(request, work)
    except NotTaken as error:
        raise Refused(400, "ooni_malformed", str(error)) from error
    result = "unconverted" if taken.batch is None else await _keep(request, taken, key_id)
    service.instruments.ooni.labels(result).inc()
    return taken


async def _keep(request: web.Request, taken: Taken, key_id: str) -> str:
    service = request.app[SERVICE]
    _limit_day(request, taken.size)
    new = await service.store.write(taking.keep(taken, key_id, service.clock()))
    if new:
        service.backlog.added(1)
        service.judging.wake()
    return "stored" if new else "duplicate"


def _limit_day(request: web.Request, size: int) -> None:
    """Refuse what would fill the store: more than a day's share, of all or of one network."""
    service = request.app[SERVICE]
    total, share = request.app[DAILY]
    network = service.network(request)
    wait = 0.0 if network is None else share.take(network, size)
    wait = wait or total.take("", size)
    if wait:
        message = "no more measurements are kept today; try again later"
        raise Refused(503, "ooni_full", message, retry_after=max(wait, _FULL_SECONDS))
