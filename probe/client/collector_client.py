"""HTTP client of one collector: the only module that imports an HTTP library.

Rules: nothing is sent before the collector is authenticated (`endpoint.py`); no proxy, root or key
log is taken from the environment; no redirect is followed; every response is bounded in bytes and
time and is decoded into the types of `api_types`. Errors are one of three exceptions, each with a
one-line message for the user.
"""

import asyncio
import base64
import os
import ssl
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec
from msgspec.structs import replace

from probe import api_types, codec
from probe.client import signing_time
from probe.client.distrust import causes, distrust
from probe.client.endpoint import CollectorEndpoint, addresses, tls_context
from probe.client.gzip_body import TooLongError, inflated
from probe.client.keys import Identity, ProbeRole
from probe.escape import plain
from probe.i18n import _

T = TypeVar("T")

SMALL_REPLY = 256 * 1024
LARGE_REPLY = 8 * 1024 * 1024
CONNECT_SECONDS = 5.0
REPLY_SECONDS = 10.0
# aiohttp and most proxies stop at a request line of 8 KiB.
_QUERY_LIMIT = 6000
_JSON = {"Content-Type": "application/json"}
_REPEATED = 409
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class CollectorError(Exception):
    """A request to a collector failed; the message is one line."""


class CollectorUnreachable(CollectorError):  # noqa: N818 - the name is fixed in docs/design/001
    """No response: no route, name not resolved, or timeout. A retry may succeed."""


class CollectorUntrusted(CollectorError):  # noqa: N818 - reads as its two siblings
    """The peer could not prove that it is the collector. Nothing was sent."""


class CollectorRefused(CollectorError):  # noqa: N818 - the name is fixed in docs/design/001
    """The collector refused the request, or its response is invalid.

    Attributes:
        status: The HTTP status; 0 if the response could not be decoded.
        retry_after: Seconds from the Retry-After header, or None.
    """

    def __init__(self, message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _TEMPORARY


class TargetsReply(msgspec.Struct, frozen=True):
    """A target list; `body` is None if the cached one (by its ETag) is current."""

    etag: str | None
    body: bytes | None


class _Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    seconds: float = REPLY_SECONDS
    limit: int = SMALL_REPLY


class _Response(msgspec.Struct, frozen=True):
    status: int
    headers: httpx.Headers
    body: bytes


class CollectorClient:
    """Client of one collector, an async context manager that keeps its connection.

    Attributes:
        identity: Our key for this collector; required for signed requests, set after enrolment.
        address: The address that last worked.
        clock_offset: Our clock minus the collector's, seconds, from its last response.
        bytes_out, bytes_in: Traffic so far, bodies and headers.
    """

    def __init__(
        self,
        endpoint: CollectorEndpoint,
        identity: Identity | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.endpoint = endpoint
        self.identity = identity
        self.address: str | None = None
        self.clock_offset: float | None = None
        self.bytes_out = 0
        self.bytes_in = 0
        self._clock = clock
        self._http: httpx.AsyncClient | None = None
        self._known: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        secure = self.endpoint.scheme == "https"
        self._http = httpx.AsyncClient(
            verify=tls_context(self.endpoint) if secure else False,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=2),
            headers={"User-Agent": "qazprobe", "Accept-Encoding": "gzip", "Accept": "*/*"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def service(self) -> api_types.ServiceReply:
        """Fetch the description of the collector's service."""
        return await self._read(_Request("GET", "/v1/service"), api_types.ServiceReply)

    async def vantage(self) -> api_types.VantageReply:
        """Fetch our country and network as the collector sees them."""
        return await self._read(_Request("GET", "/v1/vantage"), api_types.VantageReply)

    async def controls(self, inputs: Sequence[str]) -> api_types.ControlReply:
        """Fetch recent control measurements of these targets (of all, if the URL gets too long)."""
        query = urlencode([("input", url) for url in inputs])
        path = f"/v1/control?{query}" if 0 < len(query) <= _QUERY_LIMIT else "/v1/control"
        return await self._read(_Request("GET", path, limit=LARGE_REPLY), api_types.ControlReply)

    async def recheck(
        self, asks: Sequence[api_types.RecheckTarget], *, wait: float
    ) -> api_types.ControlReply:
        """Request control measurements now; wait up to `wait` seconds for their results."""
        body = codec.encode(api_types.RecheckRequest(asks=tuple(asks), wait=wait))
        request = _Request("POST", "/v1/recheck", body, _JSON, wait + REPLY_SECONDS, LARGE_REPLY)
        return await self._read(request, api_types.ControlReply, signed=True)

    async def recheck_jobs(self, *, wait: float) -> api_types.RecheckJobs:
        """As a control: wait up to `wait` seconds for requested measurements."""
        request = _Request("GET", f"/v1/recheck?wait={wait:g}", seconds=wait + REPLY_SECONDS)
        return await self._read(request, api_types.RecheckJobs, signed=True)

    async def enrol(
        self, key: Identity, invite: str | None, role: ProbeRole
    ) -> api_types.EnrolReply:
        """Register our key; the reply has the collector's id, which every signature includes."""

        def post() -> _Request:
            created = signing_time.created(self._clock(), self.clock_offset)
            proof = key.sign(codec.enrol_bytes(key.public, invite, role, created))
            public, signed = _base64(key.public), _base64(proof)
            request = api_types.EnrolRequest(
                key=public, proof=signed, invite=invite, role=role, created=created
            )
            return _Request("POST", "/v1/enroll", codec.encode(request), _JSON)

        reply = self._decode(await self._signed(post), api_types.EnrolReply)
        if reply.key_id != key.key_id:
            raise CollectorRefused(self._said(_("{url}: enrolled a different key")))
        return reply

    async def upload(self, batch: bytes, *, seconds: float = 60.0) -> api_types.BatchReply:
        """Send one packed batch; records that the reply calls stored are durable."""
        headers = {"Content-Type": codec.BATCH_TYPE}
        request = _Request("POST", "/v1/measurements", batch, headers, seconds, LARGE_REPLY)
        return await self._read(request, api_types.BatchReply, signed=True)

    async def heartbeat(self, message: api_types.Heartbeat) -> api_types.HeartbeatReply:
        """Send a heartbeat."""
        request = _Request("POST", "/v1/heartbeat", codec.encode(message), _JSON)
        return await self._read(request, api_types.HeartbeatReply, signed=True)

    async def targets(self, name: str, etag: str | None) -> TargetsReply:
        """Fetch a target list by name, unless it still has this ETag."""
        headers = {"If-None-Match": etag} if etag else {}
        path = f"/v1/targets?{urlencode({'name': name})}"
        response = await self._ask(_Request("GET", path, headers=headers, limit=LARGE_REPLY))
        if response.status == 304:
            return TargetsReply(etag, None)
        self._accept(response)
        return TargetsReply(response.headers.get("ETag"), response.body)

    async def ask_helper(self, question: bytes, *, seconds: float) -> bytes:
        """Ask a test helper of OONI's, at the very path that it is announced with."""
        path = "" if self.endpoint.prefix else "/"
        response = await self._ask(_Request("POST", path, question, _JSON, seconds))
        self._accept(response)
        return response.body

    async def erase(self) -> None:
        """Delete everything this key ever sent."""
        request = _Request("DELETE", "/v1/probes/me", seconds=60.0)
        self._accept(await self._signed(lambda: self._sign(request)))

    async def _read(self, request: _Request, type_: type[T], *, signed: bool = False) -> T:
        ask = self._signed(lambda: self._sign(request)) if signed else self._ask(request)
        return self._decode(await ask, type_)

    def _decode(self, response: _Response, type_: type[T]) -> T:
        self._accept(response)
        try:
            return msgspec.json.decode(response.body, type=type_)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            what = plain(str(error), 120)
            raise CollectorRefused(
                self._said(_("{url}: invalid response: {what}"), what=what)
            ) from error

    async def _signed(self, make: Callable[[], _Request]) -> _Response:
        """Send a signed request; make it anew, once, if that may help.

        That is when a refusal revealed that our clock is wrong, and when something on the way sent
        the request twice.
        """
        before = self.clock_offset or 0.0
        response = await self._ask(make())
        moved = abs((self.clock_offset or 0.0) - before) > signing_time.SLACK
        if (response.status == 401 and moved) or response.status == _REPEATED:
            response = await self._ask(make())
        return response

    def _sign(self, request: _Request) -> _Request:
        if self.identity is None or self.identity.enrolment is None:
            raise CollectorRefused(self._said(_("{url}: this probe is not enrolled there")), 401)
        known = self.identity.enrolment
        created = signing_time.created(self._clock(), self.clock_offset)
        message = codec.signed_bytes(
            known.collector_id, request.method, request.path, created, request.body
        )
        headers = {
            **(request.headers or {}),
            "Qaz-Key": known.key_id,
            "Qaz-Created": created,
            "Qaz-Signature": _base64(self.identity.sign(message)),
        }
        return replace(request, headers=headers)

    def _accept(self, response: _Response) -> None:
        """Raise `CollectorRefused` unless the status is 2xx."""
        if 200 <= response.status < 300:
            return
        status = response.status
        if 300 <= status < 400:
            raise CollectorRefused(
                self._said(_("{url}: sent a redirect, which is never followed")), status
            )
        reason = _problem(response.body)
        message = self._said(_("{url}: refused ({status})"), status=status)
        message += f": {reason}" if reason else ""
        retry = response.headers.get("Retry-After", "")
        retry_after = float(retry) if retry.isascii() and retry.isdigit() else None
        raise CollectorRefused(message, status, retry_after)

    async def _ask(self, request: _Request) -> _Response:
        try:
            async with asyncio.timeout(request.seconds):
                response = await self._try_addresses(request)
        except TimeoutError as error:
            message = self._said(
                _("{url}: no response within {seconds:.0f} seconds"), seconds=request.seconds
            )
            raise CollectorUnreachable(message) from error
        offset = signing_time.offset_of(response.headers, self._clock())
        self.clock_offset = self.clock_offset if offset is None else offset
        return response

    async def _try_addresses(self, request: _Request) -> _Response:
        """Try each address in turn; one that fails authentication is skipped like a dead one."""
        failures: list[CollectorError] = []
        for address in await self._addresses():
            try:
                response = await self._send(request, address)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failures.append(self._explain(error))
                self.address, self._known = None, ()
                continue
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._explain(error) from error
            self.address = address
            return response
        for failure in failures:
            if isinstance(failure, CollectorUntrusted):
                raise failure
        if failures:
            raise failures[0]
        raise CollectorUnreachable(self._said(_("{url}: its name does not resolve")))

    async def _addresses(self) -> tuple[str, ...]:
        """Return the address that last worked, else resolved ones followed by remembered ones."""
        if self.address is not None:
            return (self.address,)
        if not self._known:
            resolved = await addresses(self.endpoint, limit=CONNECT_SECONDS)
            enrolment = self.identity.enrolment if self.identity else None
            remembered = enrolment.addresses if enrolment else ()
            self._known = tuple(dict.fromkeys((*resolved, *remembered)))
        return self._known

    async def _send(self, request: _Request, address: str) -> _Response:
        if self._http is None:
            raise RuntimeError("CollectorClient is used outside its context")
        name = self.endpoint.name
        sent = self._http.build_request(
            request.method,
            self.endpoint.base(address) + request.path,
            content=request.body or None,
            headers={"Host": self.endpoint.authority, **(request.headers or {})},
            extensions={"sni_hostname": name} if name else {},
        )
        received = await self._http.send(sent, stream=True)
        try:
            body = await self._body(received, request.limit)
        finally:
            await received.aclose()
        self.bytes_out += len(request.body) + _size(sent.headers)
        self.bytes_in += len(body) + _size(received.headers)
        return _Response(received.status_code, received.headers, body)

    async def _body(self, response: httpx.Response, limit: int) -> bytes:
        """Read at most `limit` bytes, both compressed and decompressed."""
        parts = bytearray()
        async for part in response.aiter_raw():
            parts += part
            if len(parts) > limit:
                raise CollectorRefused(
                    self._said(_("{url}: response longer than {limit} bytes"), limit=limit)
                )
        if response.headers.get("Content-Encoding", "identity") == "identity":
            return bytes(parts)
        try:
            return inflated(bytes(parts), limit)
        except zlib.error as error:
            raise CollectorRefused(self._said(_("{url}: response is not valid gzip"))) from error
        except TooLongError as error:
            long = _("{url}: response decompresses to more than {limit} bytes")
            raise CollectorRefused(self._said(long, limit=limit)) from error

    def _explain(self, error: Exception) -> CollectorError:
        """Return why there is no response, classified by exception type, never by text."""
        for cause in causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return CollectorUntrusted(
                    self._said(_("{url}: {distrust}; nothing was sent"), distrust=distrust(cause))
                )
            if isinstance(cause, ssl.SSLError):
                return CollectorUnreachable(
                    self._said(_("{url}: TLS failed ({reason})"), reason=cause.reason or "unknown")
                )
        if isinstance(error, httpx.TimeoutException):
            return CollectorUnreachable(self._said(_("{url}: timed out")))
        errno = next((c.errno for c in causes(error) if isinstance(c, OSError) and c.errno), None)
        detail = type(error).__name__ if errno is None else os.strerror(errno)
        return CollectorUnreachable(self._said(_("{url}: unreachable ({detail})"), detail=detail))

    def _said(self, text: str, **gaps: object) -> str:
        """Return a message about this collector."""
        return text.format(url=self.endpoint.url, **gaps)


def _problem(body: bytes) -> str:
    try:
        return plain(msgspec.json.decode(body, type=api_types.Problem).error, 200)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ""


def _size(headers: httpx.Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.raw)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
