"""GET /v1/control, POST and GET /v1/recheck: what controls saw, and asking them to look again."""

import ipaddress
import uuid
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from collector import controls, target_labels
from collector.api.auth import signed_body
from collector.api.http import SMALL_BODY, Refused, answer, parse_json, parse_seconds
from collector.controls import LATELY_SECONDS, NEAR_SECONDS, Observation
from collector.service import SERVICE, Service
from probe.api_types import ControlFound, ControlReply, RecheckAsk, RecheckJobs, RecheckRequest

INPUTS_LIMIT = 500
ASKS_LIMIT = 200
ASK_WAIT_SECONDS = 30.0
CONTROL_WAIT_SECONDS = 60.0
# Of everything seen in the last quarter of an hour, so many looks at each target.
EACH = 2
_PORTS = frozenset({80, 443})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


async def get_control(request: web.Request) -> web.Response:
    """What controls saw lately of the targets asked for, or of everything."""
    service = request.app[SERVICE]
    asked = request.query.getall("input", [])
    if len(asked) > INPUTS_LIMIT:
        raise Refused(400, "too_many", f"at most {INPUTS_LIMIT} inputs expected")
    if asked:
        return answer(await _reply(service, {text: _spelled(text) for text in asked}))
    now = service.clock()
    operation = controls.everything(since=now - NEAR_SECONDS, until=now, each=EACH)
    return answer(_found(await service.store.read(operation), now))


async def post_recheck(request: web.Request) -> web.Response:
    """Ask controls for a fresh look, and wait for it."""
    service = request.app[SERVICE]
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
        raise Refused(403, "unlisted", "only targets that are listed here are looked at again")
    inputs = {ask.input: _spelled(ask.input) for ask in allowed}
    await _looked_at_again(service, allowed, max(0.0, min(asked.wait, ASK_WAIT_SECONDS)))
    return answer(await _reply(service, inputs, leaves=True))


async def get_recheck(request: web.Request) -> web.Response:
    """As a control: what is asked for, waiting for something to be."""
    service = request.app[SERVICE]
    key, _ = await signed_body(request, limit=0, role="control")
    wait = parse_seconds(request.query.get("wait"), most=CONTROL_WAIT_SECONDS)
    with service.instruments.controls_waiting.track_inprogress():
        jobs = await service.rechecks.take(key.key_id, wait)
    service.instruments.rechecks.labels("given").inc(len(jobs))
    return answer(RecheckJobs(jobs=jobs))


async def _looked_at_again(service: Service, asks: Sequence[RecheckAsk], wait: float) -> None:
    """Queue jobs, and wait for their answers where a control is there to give them."""
    rechecks = service.rechecks
    queued = []
    for ask in asks:
        input_, addresses = _spelled(ask.input), _dialled(ask.addresses, lab=service.settings.lab)
        if rechecks.ask(str(uuid.uuid4()), input_, addresses):
            queued.append(input_)
    service.instruments.rechecks.labels("queued").inc(len(queued))
    if rechecks.listening:
        fresh = await rechecks.settled(queued, wait)
        service.instruments.rechecks.labels("fresh" if fresh else "late").inc(len(queued))


async def _is_allowed(service: Service, ask: RecheckAsk) -> bool:
    """A listed target, or one that a control looks at anyway; on the usual ports, or in a lab."""
    url = target_labels.normalise(ask.input)
    if url is None:
        return False
    port = urlsplit(url).port
    if not service.settings.lab and port is not None and port not in _PORTS:
        return False
    if url in service.listed:
        return True
    since = service.clock() - LATELY_SECONDS
    return await service.store.read(controls.is_known(url, since=since))


def _dialled(addresses: Iterable[str], *, lab: bool) -> tuple[str, ...]:
    """The addresses that a control may be asked to dial: global ones, or any in a lab."""
    return tuple(text for text in addresses if _is_public(text, lab=lab))


def _is_public(text: str, *, lab: bool) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # IPv4 in an IPv6 coat leads anywhere, a private network too (RFC 4291, 3056, 4380, 6052).
        coat = address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
        if address.scope_id is not None or coat:
            return False
    return lab or (address.is_global and not address.is_multicast)


def _spelled(text: str) -> str:
    return target_labels.normalise(text) or text


async def _reply(
    service: Service, inputs: Mapping[str, str], *, leaves: bool = False
) -> ControlReply:
    """The newest observations, under the names they were asked by; with leaf certificates or not.

    Whoever asks for a recheck has something that did not simply work to compare.
    """
    now = service.clock()
    wanted = tuple(dict.fromkeys(inputs.values()))
    operation = controls.lately(wanted, since=now - LATELY_SECONDS, until=now + 1)
    found = await service.store.read(operation)
    served: Mapping[str, str] = {}
    if leaves:
        every = [one for seen in found.values() for one in seen]
        served = await service.store.read(controls.leaves(every))
    return _found({asked: found[spelled] for asked, spelled in inputs.items()}, now, served)


def _found(
    observations: Mapping[str, Iterable[Observation]],
    now: float,
    leaves: Mapping[str, str] | None = None,
) -> ControlReply:
    return ControlReply(
        controls=tuple(
            ControlFound(
                input=input_,
                observations=tuple(
                    controls.as_control(one, asked_at=now, leaves=leaves) for one in seen
                ),
            )
            for input_, seen in observations.items()
        )
    )
