"""Speak to one collector: the only module that imports an HTTP library.

Rules: nothing is sent before the collector has proven itself (`endpoint.py`); no proxy, root or key
log is taken from the environment; no redirect is followed; every answer is bounded in bytes and in
time, and is decoded into the types both ends share. What goes wrong comes out as one of three
exceptions, each with a line that a person can act on.
"""

import asyncio
import base64
import email.utils
import os
import ssl
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from probe import api_types, codec
from probe.client import endpoint as place
from probe.client.endpoint import CollectorEndpoint
from probe.client.keys import Identity, ProbeRole
from probe.escape import plain

T = TypeVar("T")

SMALL_REPLY = 256 * 1024
LARGE_REPLY = 8 * 1024 * 1024
CONNECT_SECONDS = 5.0
REPLY_SECONDS = 10.0
# aiohttp and most proxies stop at a request line of 8 KiB.
_QUERY_LIMIT = 6000
# Below this a signature's age is nobody's concern, so there is no point in trying again.
_CLOCK_SLACK = 30.0
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
# X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED: also what a wrong clock looks like.
_DATE_CODES = frozenset({9, 10})


class CollectorError(Exception):
    """A collector could not do what we asked; the message is one line."""


class CollectorUnreachable(CollectorError):  # noqa: N818 - the name is fixed in docs/design/001
    """No answer came: no route, no name, no time. Worth trying again."""


class CollectorUntrusted(CollectorError):  # noqa: N818 - reads as its two siblings
    """Somebody answered who could not prove to be the collector. Nothing was sent."""


class CollectorRefused(CollectorError):  # noqa: N818 - the name is fixed in docs/design/001
    """The collector answered, and the answer was no.

    Attributes:
        status: The HTTP status; 0 when the answer could not be understood.
        retry_after: Seconds after which it asked to be asked again, or None.
    """

    def __init__(self, message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """Whether the same request may do better later."""
        return self.status in _TEMPORARY


@dataclass(frozen=True, slots=True)
class TargetsReply:
    """A target list; `body` is None when the one we have (by its ETag) is still right."""

    etag: str | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    seconds: float = REPLY_SECONDS
    limit: int = SMALL_REPLY


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: httpx.Headers
    body: bytes


class CollectorClient:
    """One collector, as an async context manager that keeps its connection.

    Attributes:
        identity: Our key for it; needed for signed requests, may be set once it is enrolled.
        address: Where it was last reached.
        clock_offset: Our clock minus the collector's, seconds, from its last answer.
        bytes_out, bytes_in: What this cost so far, bodies and headers.
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
            verify=place.context(self.endpoint) if secure else False,
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
        """What this collector offers."""
        return await self._read(_Request("GET", "/v1/service"), api_types.ServiceReply)

    async def vantage(self) -> api_types.VantageReply:
        """Our country and network as the collector sees them."""
        return await self._read(_Request("GET", "/v1/vantage"), api_types.VantageReply)

    async def controls(self, inputs: Sequence[str]) -> api_types.ControlReply:
        """What controls saw of these targets lately; too many for one URL asks for all of them."""
        query = urlencode([("input", url) for url in inputs])
        path = f"/v1/control?{query}" if 0 < len(query) <= _QUERY_LIMIT else "/v1/control"
        return await self._read(_Request("GET", path, limit=LARGE_REPLY), api_types.ControlReply)

    async def recheck(
        self, asks: Sequence[api_types.RecheckAsk], *, wait: float
    ) -> api_types.ControlReply:
        """Ask controls to look now, and wait up to `wait` seconds for what they see."""
        body = codec.encode(api_types.RecheckRequest(asks=tuple(asks), wait=wait))
        headers = {"Content-Type": "application/json"}
        ask = _Request("POST", "/v1/recheck", body, headers, wait + REPLY_SECONDS, LARGE_REPLY)
        return await self._read(ask, api_types.ControlReply, signed=True)

    async def recheck_jobs(self, *, wait: float) -> api_types.RecheckJobs:
        """As a control: wait up to `wait` seconds for somebody to ask for a look."""
        ask = _Request("GET", f"/v1/recheck?wait={wait:g}", seconds=wait + REPLY_SECONDS)
        return await self._read(ask, api_types.RecheckJobs, signed=True)

    async def enrol(
        self, key: Identity, invite: str | None, role: ProbeRole
    ) -> api_types.EnrolReply:
        """Make our key known; the reply names the collector, as every signature must."""
        proof = key.sign(codec.enrol_bytes(key.public, invite, role))
        request = api_types.EnrolRequest(
            key=_base64(key.public), proof=_base64(proof), invite=invite, role=role
        )
        headers = {"Content-Type": "application/json"}
        ask = _Request("POST", "/v1/enroll", codec.encode(request), headers)
        reply = await self._read(ask, api_types.EnrolReply)
        if reply.key_id != key.key_id:
            raise CollectorRefused(f"{self.endpoint.url}: enrolled another key than ours")
        return reply

    async def upload(self, batch: bytes, *, seconds: float = 60.0) -> api_types.BatchReply:
        """Send one packed batch; what the reply calls stored is durable."""
        headers = {"Content-Type": codec.BATCH_TYPE}
        ask = _Request("POST", "/v1/measurements", batch, headers, seconds, LARGE_REPLY)
        return await self._read(ask, api_types.BatchReply, signed=True)

    async def heartbeat(self, beat: api_types.Heartbeat) -> api_types.HeartbeatReply:
        """Say that we are here."""
        headers = {"Content-Type": "application/json"}
        ask = _Request("POST", "/v1/heartbeat", codec.encode(beat), headers)
        return await self._read(ask, api_types.HeartbeatReply, signed=True)

    async def targets(self, name: str, etag: str | None) -> TargetsReply:
        """A target list by name, unless it is still the one with this ETag."""
        headers = {"If-None-Match": etag} if etag else {}
        path = f"/v1/targets?{urlencode({'name': name})}"
        answer = await self._ask(_Request("GET", path, headers=headers, limit=LARGE_REPLY))
        if answer.status == 304:
            return TargetsReply(etag, None)
        self._accept(answer)
        return TargetsReply(answer.headers.get("ETag"), answer.body)

    async def erase(self) -> None:
        """Take back everything this key ever sent."""
        self._accept(await self._signed(_Request("DELETE", "/v1/probes/me", seconds=60.0)))

    async def _read(self, ask: _Request, type_: type[T], *, signed: bool = False) -> T:
        answer = await (self._signed(ask) if signed else self._ask(ask))
        self._accept(answer)
        try:
            return msgspec.json.decode(answer.body, type=type_)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            what = plain(str(error), 120)
            raise CollectorRefused(f"{self.endpoint.url}: answer not understood: {what}") from error

    async def _signed(self, ask: _Request) -> _Response:
        """Sign by the collector's own clock; when it told us of an offset by refusing, again."""
        before = self.clock_offset or 0.0
        answer = await self._ask(self._sign(ask))
        moved = abs((self.clock_offset or 0.0) - before)
        if answer.status == 401 and moved > _CLOCK_SLACK:
            answer = await self._ask(self._sign(ask))
        return answer

    def _sign(self, ask: _Request) -> _Request:
        if self.identity is None or self.identity.enrolment is None:
            raise CollectorRefused(f"{self.endpoint.url}: this probe is not enrolled there", 401)
        known = self.identity.enrolment
        created = str(int(self._clock() - (self.clock_offset or 0.0)))
        message = codec.signed_bytes(known.collector_id, ask.method, ask.path, created, ask.body)
        headers = {
            **(ask.headers or {}),
            "Qaz-Key": known.key_id,
            "Qaz-Created": created,
            "Qaz-Signature": _base64(self.identity.sign(message)),
        }
        return _Request(ask.method, ask.path, ask.body, headers, ask.seconds, ask.limit)

    def _accept(self, answer: _Response) -> None:
        """Raise unless the answer is a yes."""
        if 200 <= answer.status < 300:
            return
        where, status = self.endpoint.url, answer.status
        if 300 <= status < 400:
            raise CollectorRefused(f"{where}: redirects us, which is never followed", status)
        said = _problem(answer.body)
        message = f"{where}: refused ({status}){': ' + said if said else ''}"
        raise CollectorRefused(message, status, _seconds(answer.headers.get("Retry-After")))

    async def _ask(self, ask: _Request) -> _Response:
        try:
            async with asyncio.timeout(ask.seconds):
                answer = await self._try_addresses(ask)
        except TimeoutError as error:
            message = f"{self.endpoint.url}: no answer within {ask.seconds:.0f} seconds"
            raise CollectorUnreachable(message) from error
        self._learn_clock(answer.headers.get("Date"))
        return answer

    async def _try_addresses(self, ask: _Request) -> _Response:
        """Each address in turn; one that cannot prove itself is passed over like a dead one."""
        failures: list[CollectorError] = []
        for address in await self._addresses():
            try:
                answer = await self._send(ask, address)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failures.append(self._explain(error))
                self.address, self._known = None, ()
                continue
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._explain(error) from error
            self.address = address
            return answer
        for failure in failures:
            if isinstance(failure, CollectorUntrusted):
                raise failure
        if failures:
            raise failures[0]
        raise CollectorUnreachable(f"{self.endpoint.url}: its name cannot be resolved now")

    async def _addresses(self) -> tuple[str, ...]:
        """The one that worked, else what the resolver says, else where it was last time."""
        if self.address is not None:
            return (self.address,)
        if not self._known:
            resolved = await place.addresses(self.endpoint, limit=CONNECT_SECONDS)
            enrolment = self.identity.enrolment if self.identity else None
            remembered = enrolment.addresses if enrolment else ()
            self._known = tuple(dict.fromkeys((*resolved, *remembered)))
        return self._known

    async def _send(self, ask: _Request, address: str) -> _Response:
        if self._http is None:
            raise RuntimeError("CollectorClient is used outside its context")
        name = self.endpoint.name
        request = self._http.build_request(
            ask.method,
            self.endpoint.base(address) + ask.path,
            content=ask.body or None,
            headers={"Host": self.endpoint.authority, **(ask.headers or {})},
            extensions={"sni_hostname": name} if name else {},
        )
        response = await self._http.send(request, stream=True)
        try:
            body = await self._body(response, ask.limit)
        finally:
            await response.aclose()
        self.bytes_out += len(ask.body) + _size(request.headers)
        self.bytes_in += len(body) + _size(response.headers)
        return _Response(response.status_code, response.headers, body)

    async def _body(self, response: httpx.Response, limit: int) -> bytes:
        """Read at most `limit` bytes, counted before and after inflating."""
        parts = bytearray()
        async for part in response.aiter_raw():
            parts += part
            if len(parts) > limit:
                raise CollectorRefused(f"{self.endpoint.url}: answer longer than {limit} bytes")
        if response.headers.get("Content-Encoding", "identity") == "identity":
            return bytes(parts)
        return self._inflate(bytes(parts), limit)

    def _inflate(self, data: bytes, limit: int) -> bytes:
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            body = inflater.decompress(data, limit + 1)
        except zlib.error as error:
            raise CollectorRefused(f"{self.endpoint.url}: answer is not gzip") from error
        if len(body) > limit:
            raise CollectorRefused(f"{self.endpoint.url}: answer inflates past {limit} bytes")
        return body

    def _explain(self, error: Exception) -> CollectorError:
        """Say by type, never by text, why no answer came."""
        where = self.endpoint.url
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return CollectorUntrusted(f"{where}: {_distrust(cause)}; nothing was sent")
            if isinstance(cause, ssl.SSLError):
                return CollectorUnreachable(f"{where}: TLS failed ({cause.reason or 'unknown'})")
        if isinstance(error, httpx.TimeoutException):
            return CollectorUnreachable(f"{where}: no answer in time")
        errno = next((c.errno for c in _causes(error) if isinstance(c, OSError) and c.errno), None)
        detail = type(error).__name__ if errno is None else os.strerror(errno)
        return CollectorUnreachable(f"{where}: cannot be reached ({detail})")

    def _learn_clock(self, date: str | None) -> None:
        try:
            theirs = email.utils.parsedate_to_datetime(date or "").timestamp()
        except (ValueError, OverflowError):
            return
        self.clock_offset = self._clock() - theirs


def _distrust(cause: ssl.SSLCertVerificationError) -> str:
    """What was wrong with the certificate, in a person's words."""
    code = getattr(cause, "verify_code", None)
    if code in _DATE_CODES:
        return "its certificate is not valid at this time (is this machine's clock right?)"
    if code is None:
        return "its key is not the one that was pinned: somebody may sit in between"
    why = plain(cause.verify_message, 80)
    return f"its certificate is not trusted ({why}): somebody may sit in between"


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and everything it was made from."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        following = following.__cause__ or following.__context__
    return found


def _problem(body: bytes) -> str:
    try:
        return plain(msgspec.json.decode(body, type=api_types.Problem).error, 200)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ""


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() else None


def _size(headers: httpx.Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.raw)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
