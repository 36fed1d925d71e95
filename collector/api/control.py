"""GET /v1/control, POST and GET /v1/recheck: observations of controls, and rechecks."""

import ipaddress
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from aiohttp import web
from msgspec import Meta

from collector import controls, target_labels
from collector.api import parameters
from collector.api.auth import signed_body
from collector.api.http import (
    JSON_TYPE,
    SMALL_BODY,
    Refused,
    answer,
    expect_type,
    parse_json,
    using,
)
from collector.api.parameters import Parameters, Text
from collector.connections import Use
from collector.controls import NEAR_SECONDS, RECENT_SECONDS, Observation
from collector.service import SERVICE, Service
from probe.api_types import ControlReply, RecheckJobs, RecheckRequest, RecheckTarget, TargetControls

INPUTS_LIMIT = 500
ASKS_LIMIT = 200
ASK_WAIT_SECONDS = 30.0
CONTROL_WAIT_SECONDS = 60.0
# Observations of each target from the last quarter of an hour, when none is asked for by name.
EACH = 2
_MANY = f"any number of URLs up to {INPUTS_LIMIT}"
_PORTS = frozenset({80, 443})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ControlParameters(Parameters, frozen=True, kw_only=True):
    """The targets whose observations are wanted; all of them if none is named."""

    input: Annotated[tuple[Text, ...], Meta(max_length=INPUTS_LIMIT, description=_MANY)] = ()


class RecheckParameters(Parameters, frozen=True, kw_only=True):
    """How long to wait for rechecks."""

    wait: Annotated[float, Meta(ge=0.0, le=3600.0, description="seconds")] = 0.0


async def get_control(request: web.Request) -> web.Response:
    """Recent observations of the requested targets, or of all targets."""
    service = request.app[SERVICE]
    asked = parameters.of(request, ControlParameters).input
    if asked:
        return answer(await _reply(service, {text: _normalised(text) for text in asked}))
    now = service.clock()
    operation = controls.newest_of_all(since=now - NEAR_SECONDS, until=now, each=EACH)
    return answer(_found(await service.store.read(operation), now))


async def post_recheck(request: web.Request) -> web.Response:
    """Queue rechecks for the controls, and wait for their observations."""
    service = request.app[SERVICE]
    expect_type(request, JSON_TYPE)
    key, body = await signed_body(request, limit=SMALL_BODY)
    asked = parse_json(body, RecheckRequest)
    if len(asked.asks) > ASKS_LIMIT:
        raise Refused(400, "too_many", f"at most {ASKS_LIMIT} targets expected")
    wait = service.by_recheck.take(key.key_id, len(asked.asks))
    if wait:
        raise Refused(429, "rate_recheck", "too many rechecks asked", retry_after=wait)
    allowed = [ask for ask in asked.asks if await _is_allowed(service, ask)]
    service.instruments.rechecks.labels("refused").inc(len(asked.asks) - len(allowed))
    if asked.asks and not allowed:
        raise Refused(403, "unlisted", "only targets that are listed here are rechecked")
    inputs = {ask.input: _normalised(ask.input) for ask in allowed}
    with using(request, Use.TRANSFER):
        await _recheck(service, allowed, max(0.0, min(asked.wait, ASK_WAIT_SECONDS)))
    return answer(await _reply(service, inputs, leaves=True))


async def get_recheck(request: web.Request) -> web.Response:
    """The rechecks for a control to do, waiting until there are any."""
    service = request.app[SERVICE]
    key, _ = await signed_body(request, limit=0, role="control")
    wait = min(parameters.of(request, RecheckParameters).wait, CONTROL_WAIT_SECONDS)
    with service.instruments.controls_waiting.track_inprogress():
        jobs = await service.rechecks.take(key.key_id, wait)
    service.instruments.rechecks.labels("given").inc(len(jobs))
    return answer(RecheckJobs(jobs=jobs))


async def _recheck(service: Service, asks: Sequence[RecheckTarget], wait: float) -> None:
    """Queue rechecks, and wait for their observations if any control takes rechecks."""
    rechecks = service.rechecks
    queued = []
    for ask in asks:
        input_, lab = _normalised(ask.input), service.settings.lab
        addresses = [text for text in ask.addresses if is_public(text, lab=lab)]
        if rechecks.ask(str(uuid.uuid4()), input_, addresses):
            queued.append(input_)
    service.instruments.rechecks.labels("queued").inc(len(queued))
    if rechecks.has_controls:
        fresh = await rechecks.settled(queued, wait)
        service.instruments.rechecks.labels("fresh" if fresh else "late").inc(len(queued))


async def _is_allowed(service: Service, ask: RecheckTarget) -> bool:
    """Whether it is listed, or measured by controls anyway; outside a lab on ports 80 and 443."""
    url = target_labels.normalise(ask.input)
    if url is None:
        return False
    port = urlsplit(url).port
    if not service.settings.lab and port is not None and port not in _PORTS:
        return False
    if url in service.labels:
        return True
    since = service.clock() - RECENT_SECONDS
    return await service.store.read(controls.is_known(url, since=since))


def is_public(text: str, *, lab: bool) -> bool:
    """Whether a control may be asked to dial an address: a global one, or any in a lab."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # An embedded IPv4 address may be private (RFC 4291, 3056, 4380, 6052).
        embedded = address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
        if address.scope_id is not None or embedded:
            return False
    return lab or (address.is_global and not address.is_multicast)


def _normalised(text: str) -> str:
    return target_labels.normalise(text) or text


async def _reply(
    service: Service, inputs: Mapping[str, str], *, leaves: bool = False
) -> ControlReply:
    """The newest observations, under the inputs as they were spelled in the request.

    Rechecks come with leaf certificates, because such a probe has failures to compare.
    """
    now = service.clock()
    wanted = tuple(dict.fromkeys(inputs.values()))
    operation = controls.newest_of(wanted, since=now - RECENT_SECONDS, until=now + 1)
    found = await service.store.read(operation)
    served: Mapping[str, str] = {}
    if leaves:
        every = [one for seen in found.values() for one in seen]
        served = await service.store.read(controls.leaves(every))
    return _found({asked: found[normalised] for asked, normalised in inputs.items()}, now, served)


def _found(
    observations: Mapping[str, Iterable[Observation]],
    now: float,
    leaves: Mapping[str, str] | None = None,
) -> ControlReply:
    return ControlReply(
        controls=tuple(
            TargetControls(
                input=input_,
                observations=tuple(
                    controls.as_control(one, asked_at=now, leaves=leaves) for one in seen
                ),
            )
            for input_, seen in observations.items()
        )
    )
