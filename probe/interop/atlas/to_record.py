"""A result of RIPE Atlas's as a record of ours: what a probe of theirs saw from where it is.

Rule: what Atlas did not record stays missing. A result is one look, without a harmless name, a page
or a control, so it shows certificates and answers, and seldom more. Chains are judged here, by the
roots of today and the date of the measurement. Pure: whatever a file has becomes a record within
all bounds, or an `AtlasError` with one reason.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from probe.certificates.roots import Roots
from probe.certificates.trust import evaluate
from probe.clip import UnfitError, within_bounds
from probe.compare import is_address
from probe.failure import Failure
from probe.interop.atlas import dns_steps, places
from probe.interop.atlas.dns_steps import Questions
from probe.interop.atlas.messages import AtlasResult
from probe.interop.atlas.places import AtlasPlace
from probe.model import Dns, Line, Record, Step, Tcp, Tls, Vantage
from probe.targets import TargetError, parse_url

ORIGIN = "atlas"
HELLO = "atlas"
_EXPERIMENTS = {"sslcert": "mitm", "dns": "dns"}
_HTTPS, _LARGEST_PORT = 443, 65_535
_SHOWN = 40
_LATELY = 600
_VERSIONS = {
    "3.0": "SSLv3", "1.0": "TLSv1", "3.1": "TLSv1", "1.1": "TLSv1.1", "3.2": "TLSv1.1",
    "1.2": "TLSv1.2", "3.3": "TLSv1.2", "1.3": "TLSv1.3", "3.4": "TLSv1.3",
}  # fmt: skip
# The firmware's own words, whole; of the system's messages those of Linux's libraries.
_CONNECT = "connect: "
_CONNECT_FAILURES = {
    "timeout": Failure.TIMEOUT,
    "Connection timed out": Failure.TIMEOUT,
    "Connection refused": Failure.REFUSED,
    "Connection reset by peer": Failure.RESET,
    "No route to host": Failure.HOST_UNREACHABLE,
    "Host is unreachable": Failure.HOST_UNREACHABLE,
    "Network is unreachable": Failure.NETWORK_UNREACHABLE,
    "Network unreachable": Failure.NETWORK_UNREACHABLE,
}
_SILENT = "timeout reading hello"
_PLAIN = re.compile(r"[A-Za-z0-9 :,'()_-]{1,100}")
_NUMBERS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class AtlasError(ValueError):
    """A result that makes no record; the message says what is wrong with it."""


class OtherKindError(AtlasError):
    """A result of another kind of measurement."""


def to_record(
    content: Any,
    *,
    roots: Roots,
    known: Mapping[int, AtlasPlace] = MappingProxyType({}),
    questions: Questions | None = None,
) -> Record:
    """The record, not judged.

    Args:
        content: The decoded JSON.
        known: Where probes are.
        questions: What is known of earlier results.

    Raises:
        OtherKindError: It is no result of `sslcert` or `dns`.
        AtlasError: It is none at all, or says too little.
    """
    kind = content.get("type") if isinstance(content, dict) else None
    if isinstance(kind, str) and kind not in _EXPERIMENTS:
        raise OtherKindError(f"a result of {kind[:_SHOWN]!a}; dns and sslcert are read")
    try:
        result = msgspec.convert(content, AtlasResult)
    except (msgspec.ValidationError, RecursionError) as error:
        raise AtlasError(
            f"no result of RIPE Atlas: {' '.join(str(error).split())[:160]}"
        ) from error
    certs: dict[str, str] = {}
    if result.type == "dns":
        steps: Sequence[Step] = dns_steps.steps(result, questions or Questions())
        if not steps:
            raise AtlasError("what was asked is not in it: no reply, and no qbuf")
        host, port = _host_asked(steps), _HTTPS
    else:
        host, port = _host(result), _port(result)
        steps = _handshake(result, host, port, certs, roots)
    return _record(result, _input(host, port), steps, certs, known)


def _record(
    result: AtlasResult,
    input_: str,
    steps: Sequence[Step],
    certs: dict[str, str],
    known: Mapping[int, AtlasPlace],
) -> Record:
    country, asn = places.of(result, known)
    record = Record(
        id=str(_id("result", result.type, result.msm_id, result.prb_id, result.timestamp, input_)),
        run=str(_id("measurement", result.msm_id)),
        experiment=_EXPERIMENTS[result.type],
        input=input_,
        started_at=_time(result).strftime("%Y-%m-%dT%H:%M:%SZ"),
        elapsed=max((one.at + one.elapsed for one in steps), default=0.0),
        vantage=Vantage(
            country=country, asn=asn, platform="ripe-atlas", version=_firmware(result.fw)
        ),
        steps=tuple(steps),
        certs=certs,
        line=_line(result),
        origin=ORIGIN,
    )
    try:
        return within_bounds(record)
    except UnfitError as error:
        raise AtlasError(f"no record can hold it: {str(error)[:80]}") from error


def _input(host: str, port: int) -> str:
    written = f"[{host}]" if ":" in host else host
    try:
        return parse_url(f"https://{written}:{port}/")
    except TargetError as error:
        raise AtlasError(f"its target is no name: {error}"[:160]) from error


def _time(result: AtlasResult) -> datetime:
    return datetime.fromtimestamp(result.timestamp, UTC)


def _line(result: AtlasResult) -> Line:
    """The probe's line worked where it had heard a controller lately."""
    heard = isinstance(result.lts, int) and 0 <= result.lts <= _LATELY
    return Line(alive_before=True if heard else None)


def _firmware(written: Any) -> str:
    return f"fw{written}" if isinstance(written, int) and 0 <= written < 10**6 else ""


def _host(result: AtlasResult) -> str:
    found = (result.dst_name or result.dst_addr or "").rstrip(".").lower()
    if not found:
        raise AtlasError("dst_name and dst_addr are missing")
    return found


def _host_asked(steps: Sequence[Step]) -> str:
    first = steps[0]
    return first.name if isinstance(first, Dns) else ""


def _port(result: AtlasResult) -> int:
    if result.dst_port in {None, "https"}:
        return _HTTPS
    text = str(result.dst_port)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 0 < number <= _LARGEST_PORT:
        raise AtlasError("dst_port is no port")
    return number


def _handshake(
    result: AtlasResult, host: str, port: int, certs: dict[str, str], roots: Roots
) -> list[Step]:
    """The connection and the handshake, or the name that had no address."""
    if result.dnserr is not None or not is_address(result.dst_addr or ""):
        if is_address(host):
            raise AtlasError("dst_addr is missing")
        detail = _detail(result.dnserr or result.err)
        return [Dns(id=1, name=host, resolver="system", failure=Failure.UNKNOWN, detail=detail)]
    address, connected = result.dst_addr or "", (result.ttc or 0.0) / 1000
    why = result.err or ""
    tcp = Tcp(id=1, address=address, port=port, elapsed=connected)
    if why.startswith(_CONNECT):
        failure = _CONNECT_FAILURES.get(why.removeprefix(_CONNECT), Failure.UNKNOWN)
        return [msgspec.structs.replace(tcp, failure=failure, detail=_detail(why))]
    chain = _chain(result)
    certs |= {hashlib.sha256(der).hexdigest(): base64.b64encode(der).decode() for der in chain}
    tls = Tls(
        id=2,
        parent=1,
        address=address,
        port=port,
        sni=None if is_address(host) else host,
        hello=HELLO,
        failure=_tls_failure(result, chain),
        detail=_detail(why) if why else None,
        bytes_in=sum(map(len, chain)),
        version=_VERSIONS.get(result.ver or "") if chain else None,
        alert=_alert(result),
        alert_by=None if result.alert is None else "peer",
        chain=tuple(hashlib.sha256(der).hexdigest() for der in chain),
        trust=evaluate(chain, host, roots=roots, now=_time(result)) if chain else None,
        at=connected,
        elapsed=max(0.0, (result.rt or 0.0) / 1000 - connected),
    )
    return [tcp, tls]


def _tls_failure(result: AtlasResult, chain: Sequence[bytes]) -> Failure | None:
    if result.alert is not None:
        return Failure.SSL_HANDSHAKE
    if result.err:
        return Failure.TIMEOUT if result.err == _SILENT else Failure.UNKNOWN
    return None if chain else Failure.UNKNOWN


def _alert(result: AtlasResult) -> int | None:
    if result.alert is None:
        return None
    number = result.alert.description
    found = result.alert.decription if number is None else number
    return found if found is not None and found < 256 else None


def _detail(text: str | None) -> str | None:
    """The firmware's words, unless there may be an address in them."""
    plain = text is not None and _PLAIN.fullmatch(text) and not _NUMBERS.search(text)
    return text if plain else None


def _chain(result: AtlasResult) -> list[bytes]:
    """The certificates, leaf first.

    Raises:
        AtlasError: One is no PEM.
    """
    found = []
    for number, pem in enumerate(result.cert, 1):
        # Some firmware escaped the slashes of base64 twice.
        inside = _PEM.search(pem.replace("\\/", "/"))
        try:
            der = base64.b64decode("".join(inside[1].split()) if inside else "", validate=True)
        except ValueError:
            der = b""
        if not der:
            raise AtlasError(f"certificate {number} is no PEM")
        found.append(der)
    return found


def _id(*what: object) -> UUID:
    """The same id for the same result, however it came: a UUID of version 8 (RFC 9562)."""
    text = " ".join(map(str, ("atlas", *what)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])
    number = number & ~(0xF << 76) | 0x8 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
