"""A control measurement of ours as the answer of a test helper. Pure.

Rule: what the control did not measure is left out, so that a client compares with nothing rather
than with a guess. DNS, TCP and HTTP have the older words for failures, as clients expect there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from probe.compare import host_of, is_address, is_bogon
from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import PLAIN_HELLOS
from probe.interop.ooni.out.handshakes import handshake_failure
from probe.interop.ooni.out.requests import canonical
from probe.model import Dns, Http, Quic, Role, Step, Steps, Tcp, Tls

S = TypeVar("S", bound=Step)
NetworkOf = Callable[[str], int]

# Of an address: the client's resolvers gave it, ours did, it is not public, it proved the name.
BY_CLIENT, BY_HELPER, BOGON, PROVEN = 1, 2, 4, 8
_FAMILIES = frozenset({"A", "AAAA"})


class Endpoint(NamedTuple):
    """An address and a port that a client asks about."""

    address: str
    port: int

    def __str__(self) -> str:
        return words.endpoint(self.address, self.port)


def _nowhere(_: str) -> int:
    return 0


def helper_answer(
    url: str,
    steps: Steps,
    asked: Sequence[Endpoint] = (),
    *,
    network_of: NetworkOf = _nowhere,
    quic: bool = True,
) -> dict[str, Any]:
    """What a helper says of a URL, from the steps of a control measurement of it.

    Args:
        asked: Where else it is asked to connect to.
        network_of: The number of an address's network; 0: not known.
        quic: Whether it is asked about QUIC.
    """
    host = host_of(url)
    own = _addresses(steps, host)
    ips = dict.fromkeys((*(one.address for one in asked), *own))
    wanted = set(map(str, (*asked, *endpoints(url, ips))))
    connects = [s for s in _first(steps, Tcp) if s.segment_limit is None]
    handshakes = [s for s in _first(steps, Tls) if s.sni == host and s.hello in PLAIN_HELLOS]
    proven = {s.address for s in handshakes if s.trust is not None and s.trust.valid}
    given = {one.address for one in asked}
    connected = dict(_connects(connects, wanted))
    return {
        "tcp_connect": connected,
        # Readers rely on the connection to the same endpoint.
        "tls_handshake": dict(_handshakes(handshakes, wanted & set(connected))),
        "quic_handshake": dict(_handshakes(_first(steps, Quic), wanted)) if quic else {},
        "http_request": _page(steps, host),
        "http3_request": None,
        "dns": {"failure": _dns_failure(steps, host, own), "addrs": own},
        "ip_info": {
            ip: {
                "asn": network_of(ip),
                "flags": BY_CLIENT * (ip in given)
                | BY_HELPER * (ip in own)
                | BOGON * is_bogon(ip)
                | PROVEN * (ip in proven),
            }
            for ip in ips
        },
    }


def _first(steps: Steps, kind: type[S]) -> list[S]:
    """What was measured of the URL itself, at its own addresses and those that a client got."""
    found = [s for s in steps if isinstance(s, kind) and s.hop == 0]
    return [s for s in found if s.travel is None or s.travel.ttl is None]


def endpoints(url: str, ips: Iterable[str]) -> Iterator[Endpoint]:
    """Where a helper connects to by itself; nowhere for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return
    ports = (port,) if port else (443,) if parts.scheme == "https" else (80, 443)
    host = host_of(url)
    for ip in (*ips, *([host] if is_address(host) else ())):
        yield from (Endpoint(ip, port) for port in ports)


def _lookups(steps: Steps, host: str) -> list[Dns]:
    asked = [s for s in _first(steps, Dns) if s.name == host and s.type in _FAMILIES]
    return [s for s in asked if s.role is Role.TARGET]


def _addresses(steps: Steps, host: str) -> list[str]:
    return list(dict.fromkeys(ip for s in _lookups(steps, host) for ip in s.addresses))


def _dns_failure(steps: Steps, host: str, found: Sequence[str]) -> str | None:
    failures = [s.failure for s in _lookups(steps, host) if s.failure is not None]
    if found or not failures:
        return None
    # That a name has no address of one family says less than any other failure.
    telling = [one for one in failures if one is not Failure.DNS_NO_ANSWER]
    return words.to_legacy("dns", (telling or failures)[0])


def _connects(tried: Iterable[Tcp], wanted: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The best attempt at each endpoint."""
    for where, one in _best(tried, wanted).items():
        failure = words.to_legacy("tcp", one.failure)
        yield where, {"status": failure is None, "failure": failure}


def _handshakes(
    tried: Iterable[Tls | Quic], wanted: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, one in _best(tried, wanted).items():
        failure = words.to_ooni(handshake_failure(one))
        yield where, {"server_name": one.sni or "", "status": failure is None, "failure": failure}


_Dialled = TypeVar("_Dialled", Tcp, Tls | Quic)


def _best(tried: Iterable[_Dialled], wanted: set[str]) -> Mapping[str, _Dialled]:
    """For each endpoint the attempt that worked, else the last one."""
    found: dict[str, _Dialled] = {}
    for one in tried:
        where = words.endpoint(one.address, one.port)
        known = found.get(where)
        if where in wanted and (known is None or known.failure is not None):
            found[where] = one
    return found


def _page(steps: Steps, host: str) -> dict[str, Any]:
    """The last page of the URL's redirects, or why there is none."""
    pages = [s for s in steps if isinstance(s, Http) and s.role is Role.TARGET]
    last = max(pages, key=lambda s: (s.hop, s.failure is None, s.try_), default=None)
    deeper = _later_failure(steps, -1 if last is None else last.hop)
    if last is None or deeper is not None or last.failure is not None or last.status is None:
        failure = deeper or (last.failure if last else None) or Failure.UNKNOWN
        return _no_page(words.to_legacy("http", failure))
    return {
        "body_length": _length(last),
        "discovered_h3_endpoint": _h3(last) or _h3_by_name(steps, host),
        "failure": None,
        "title": last.title or "",
        "headers": {canonical(name): value for name, value in last.headers.items()},
        "status_code": last.status,
    }


def _no_page(failure: str | None) -> dict[str, Any]:
    return {
        "body_length": -1,
        "discovered_h3_endpoint": "",
        "failure": failure,
        "title": "",
        "headers": {},
        "status_code": -1,
    }


def _later_failure(steps: Steps, hop: int) -> Failure | None:
    """Why a redirect after this page led nowhere; None when it was followed, or there is none."""
    later = [s for s in steps if s.hop > hop and s.role is Role.TARGET]
    deepest = max((s.hop for s in later), default=hop)
    tried = [s for s in later if s.hop == deepest and not isinstance(s, Quic)]
    if any(isinstance(s, Http) for s in tried) or not tried:
        return None
    failed = [s.failure for s in tried if s.failure is not None]
    untrusted = [s for s in tried if isinstance(s, Tls) and s.trust is not None]
    reasons = [words.ssl_failure(s.trust.reason) for s in untrusted if s.trust is not None]
    return next((one for one in (*reversed(failed), *reasons) if one is not None), None)


def _length(page: Http) -> int:
    """The length of a body as it is read; -1 where it is not known."""
    if "content-encoding" in page.headers:
        return -1
    return page.received_bytes if page.complete else page.declared_bytes or -1


def _h3(page: Http) -> str:
    """Where the server says that it speaks HTTP/3, as an endpoint."""
    for offer in page.headers.get("alt-svc", "").split(","):
        name, _, rest = offer.strip().partition("=")
        authority = rest.partition(";")[0].strip().strip('"')
        if name == "h3" and authority:
            return authority if not authority.startswith(":") else f"{page.host}{authority}"
    return ""


def _h3_by_name(steps: Steps, host: str) -> str:
    """The same, where the resolver says it (RFC 9460)."""
    replies = [reply for s in _first(steps, Dns) if s.name == host for reply in s.replies]
    return f"{host}:443" if any("h3" in reply.alpn for reply in replies) else ""


def is_quic(steps: Steps) -> bool:
    """Whether a control measurement is one of QUIC, and not of the page."""
    return bool(steps) and all(isinstance(step, Quic) for step in steps)
