"""The test helper for OONI's clients: what a control of ours measured of a listed target.

Rule: it fetches nothing. It answers of targets that are listed here, on the ports of the web, for
public addresses and few of them, from the newest control measurement; without one a control may
measure, as for our own probes, within limits for each network.
"""

import ipaddress
import uuid
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from collector import controls, target_labels
from collector.api.control import is_public
from collector.api.http import Refused, answer, using
from collector.api.ooni_bodies import read_message
from collector.connections import Use
from collector.controls import NEAR_SECONDS, Observation
from collector.interop.ooni.messages import HelperRequest
from collector.rechecks import ADDRESS_LIMIT
from collector.service import SERVICE, Service
from probe.interop.ooni.out.helper_answer import Endpoint, helper_answer, is_quic

LIMIT = 32 * 1024
# More than the largest sites have on both ports.
ENDPOINTS = 32
WAIT_SECONDS = 20.0
_PORTS = frozenset({80, 443})
_AGAIN_SECONDS = 60.0


async def get_health(_request: web.Request) -> web.Response:
    """That there is a helper here."""
    return answer({"message": "qazcollector: a test helper"})


async def post_question(request: web.Request) -> web.Response:
    """What a control of ours measured of a target."""
    service = request.app[SERVICE]
    wait = service.must_wait(request, service.by_helper)
    if wait:
        raise Refused(429, "rate_helper", "too many questions; try again later", retry_after=wait)
    asked = await read_message(request, HelperRequest, limit=LIMIT)
    url = _listed(service, asked.http_request)
    endpoints = tuple(_endpoints(service, asked.tcp_connect or ()))
    found = await _newest(service, url)
    if found:
        service.instruments.ooni_helper.labels("known").inc()
    else:
        found = await _rechecked(request, url, endpoints)
    steps = tuple(step for one in found for step in one.steps)
    return answer(
        helper_answer(
            url,
            steps,
            endpoints,
            network_of=lambda ip: service.asn_table.lookup(ip)[1] or 0,
            quic=asked.x_quic_enabled,
        )
    )


def _listed(service: Service, text: str) -> str:
    """The target in the spelling of the lists."""
    url = target_labels.normalise(text)
    port = urlsplit(url).port if url else None
    usual = service.settings.lab or port is None or port in _PORTS
    if url is None or url not in service.labels or not usual:
        service.instruments.ooni_helper.labels("unlisted").inc()
        raise Refused(400, "unlisted", "only targets that are listed here are answered for")
    return url


def _endpoints(service: Service, asked: Sequence[str]) -> Iterator[Endpoint]:
    if len(asked) > ENDPOINTS:
        raise Refused(400, "too_many", f"at most {ENDPOINTS} endpoints expected")
    for text in asked:
        found = _endpoint(text)
        lab = service.settings.lab
        if found is None or not (
            (lab or found.port in _PORTS) and is_public(found.address, lab=lab)
        ):
            continue
        yield found


def _endpoint(text: str) -> Endpoint | None:
    address, _, port = text.rpartition(":")
    try:
        parsed = ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    usable = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16
    return Endpoint(str(parsed), int(port)) if usable else None


async def _newest(service: Service, url: str) -> tuple[Observation, ...]:
    """The newest control measurement of a target; that of QUIC beside it is another one."""
    now = service.clock()
    operation = controls.newest_of((url,), since=now - NEAR_SECONDS, until=now + 1)
    seen = (await service.store.read(operation))[url]
    pages = [one for one in seen if not is_quic(one.steps)][:1]
    quic = [one for one in seen if is_quic(one.steps)][:1]
    return tuple(pages + quic) if pages else ()


async def _rechecked(
    request: web.Request, url: str, endpoints: Sequence[Endpoint]
) -> tuple[Observation, ...]:
    """What a control measures now.

    Raises:
        Refused: No control does, or not in time.
    """
    service = request.app[SERVICE]
    wait = service.must_wait(request, service.by_helper_recheck)
    if wait:
        raise Refused(429, "rate_helper", "too many rechecks; try again later", retry_after=wait)
    addresses = list(dict.fromkeys(one.address for one in endpoints))[:ADDRESS_LIMIT]
    rechecks = service.rechecks
    if rechecks.has_controls and rechecks.ask(str(uuid.uuid4()), url, addresses):
        with using(request, Use.TRANSFER):
            await rechecks.settled([url], WAIT_SECONDS)
        found = await _newest(service, url)
        if found:
            service.instruments.ooni_helper.labels("rechecked").inc()
            return found
    service.instruments.ooni_helper.labels("missing").inc()
    message = "no control has measured this target lately"
    raise Refused(503, "ooni_missing", message, retry_after=_AGAIN_SECONDS)
