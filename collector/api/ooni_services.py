"""What OONI's clients ask for before they measure: helpers, targets, credentials, names."""

import random
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from collector.api.http import Refused, answer
from collector.api.ooni_bodies import read_message, run_apart
from collector.api.ooni_measurements import AUTHORITY
from collector.api.parameters import Parameters, Text
from collector.interop.ooni import check_in, names
from collector.interop.ooni.check_in import ListedUrl
from collector.interop.ooni.credentials import CredentialAuthority, CredentialRefused
from collector.interop.ooni.messages import CheckIn, LoginRequest, SignCredential
from collector.interop.ooni.names import ReportOf
from collector.service import SERVICE
from probe import reference_data, targets
from probe.interop.ooni import words

HELPER_PATH = "/ooni/helper"
_SMALL = 16 * 1024
_LARGE = 64 * 1024
_TOKEN_DAYS = 7
_ALWAYS_HTTPS = "https"  # the type; a client takes the scheme of the address


class TorParameters(Parameters, frozen=True, kw_only=True):
    """For which country; ours are the same everywhere."""

    country_code: Text = ""


async def get_helpers(request: web.Request) -> web.Response:
    """The test helpers that a client may use."""
    return _fresh(_helpers(request))


def _helpers(request: web.Request) -> dict[str, Any]:
    offered = request.app[SERVICE].settings.ooni
    own = [f"{_own_url(request)}{HELPER_PATH}"] if offered.helper else []
    found = [{"address": one, "type": _ALWAYS_HTTPS} for one in (*own, *offered.also)]
    return {"web-connectivity": found} if found else {}


def _own_url(request: web.Request) -> str:
    known = request.app[SERVICE].settings.ooni.url
    return known.rstrip("/") or f"{request.scheme}://{request.host}"


async def post_check_in(request: web.Request) -> web.Response:
    """The targets that a client may measure, of the operator's lists."""
    service = request.app[SERVICE]
    asked = await read_message(request, CheckIn, limit=_SMALL)
    origin = service.origin(request)
    country, asn = origin.country or "ZZ", origin.asn or 0
    if asked.probe_cc == "ZZ":
        asked = replace(asked, probe_cc=country, probe_asn=f"AS{asn}")
    listed = (ListedUrl(*one) for one in service.labels.listed)
    urls = check_in.given(asked, listed, random.SystemRandom())
    network = targets.networks().get(asn) if asn else None
    of = ReportOf("web_connectivity", asked.probe_cc, asked.probe_asn)
    reply: dict[str, Any] = {
        "v": 1,
        "probe_cc": country,
        "probe_asn": f"AS{asn}",
        "probe_network_name": network or "",
        "utc_time": _time(service.clock()),
        "conf": {"features": {}, "test_helpers": _helpers(request)},
        "tests": {
            "web_connectivity": {
                "report_id": names.report_id(of, service.clock(), service.report_secret),
                "urls": [one._asdict() for one in urls],
            }
        },
    }
    return _fresh(reply)


async def get_manifest(request: web.Request) -> web.Response:
    """What clients must know of anonymous credentials; without the library there are none."""
    return _fresh(_authority(request).manifest)


async def post_sign_credential(request: web.Request) -> web.Response:
    """Give a client an anonymous credential."""
    authority = _authority(request)
    service = request.app[SERVICE]
    wait = service.must_wait(request, service.by_enrolment)
    if wait:
        raise Refused(429, "rate_enrol", "too many credentials; try again later", retry_after=wait)
    asked = await read_message(request, SignCredential, limit=_LARGE)
    try:
        return _fresh(await run_apart(request, partial(authority.sign, asked)))
    except CredentialRefused as error:
        raise Refused(400, "ooni_credential", str(error)) from error


def _authority(request: web.Request) -> CredentialAuthority:
    found = request.app[AUTHORITY]
    if found is None:
        raise Refused(404, "http", "this collector gives no anonymous credentials")
    return found


async def post_register(request: web.Request) -> web.Response:
    """A name for a client that asks for one; it is not remembered."""
    await read_message(request, LoginRequest, limit=_SMALL)
    return _fresh({"client_id": secrets.token_hex(16)})


async def post_login(request: web.Request) -> web.Response:
    """A token for a client that asks for one; it opens nothing."""
    asked = await read_message(request, LoginRequest, limit=_SMALL)
    if not asked.username or not asked.password:
        raise Refused(401, "http", "username and password expected")
    until = datetime.now(UTC) + timedelta(days=_TOKEN_DAYS)
    return _fresh({"token": secrets.token_hex(16), "expire": _time(until.timestamp())})


async def get_tor_targets(request: web.Request) -> web.Response:
    """The servers of Tor that its experiment asks: public ones only."""
    del request
    return _fresh(
        {
            f"{address}:{port}": {
                "address": words.endpoint(address, port),
                "fingerprint": "",
                "name": "",
                "protocol": "or_port_dirauth",
            }
            for group in reference_data.endpoints("tor")
            if group.how == "own_tls"
            for address in group.addresses
            for port in group.ports
        }
    )


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _fresh(data: dict[str, Any]) -> web.Response:
    """A response that no cache keeps for another client."""
    response = answer(data)
    response.headers["Cache-Control"] = "no-store"
    return response
