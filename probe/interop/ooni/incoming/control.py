"""`control` of a web_connectivity measurement: what OONI's test helper saw, as our control.

The helper looks at the time of the measurement: its age is 0. It gives no certificates, hashes or
times, and follows redirects without telling where to; so its page is the end of a chain, of which
the URL is not known.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from probe.compare import host_of, is_address, port_of
from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.incoming import queries, values
from probe.model import Control, Dns, Http, Ping, Reply, Role, Step, Tcp, Tls, Trust
from probe.net import page_features

# The network of an address, by the helper's or the probe's table: `asn` of such a step.
NETWORK = "network"
UNKNOWN_END = "unknown:"


def control(test_keys: Any, input_: str, id_: UUID) -> Control | None:
    """What the helper saw; None where it was not reached."""
    seen = values.member(test_keys, "control")
    if not isinstance(seen, dict) or not seen or values.failure(test_keys, "control_failure"):
        return None
    addresses = _addresses(seen)
    steps: list[Step] = [
        *_names(seen, host_of(input_), addresses),
        *_connections(seen, addresses),
        *_handshakes(seen, addresses),
        *_page(seen, input_, addresses),
        *_networks(seen, test_keys),
    ]
    return Control(id=str(id_), age=0.0, steps=tuple(steps)) if steps else None


_OF_GO = ("0.1.", "0.2.", "0.3.", "0.4.", "0.5.")


def by_trusted_tls(measurement: Any) -> bool:
    """The helper was asked over TLS, so another name was proven on this connection.

    Where the measurement does not say which helper it was: the clients written in Go, whose test
    has a version above 0.0, know no helper without TLS.
    """
    if not values.member(measurement, "test_helpers"):
        return values.text(measurement, "test_version").startswith(_OF_GO)
    address = values.text(measurement, "test_helpers", "backend", "address")
    kind = values.text(measurement, "test_helpers", "backend", "type")
    plain = values.text(measurement, "test_helpers", "backend")
    return any(one.startswith("https://") for one in (address, plain)) or kind == "cloudfront"


def _addresses(seen: dict[str, Any]) -> list[str]:
    listed = values.member(seen, "dns", "addrs")
    every = listed[: values.ENTRIES] if isinstance(listed, list) else []
    return [one for one in every if isinstance(one, str) and is_address(one)]


def _names(seen: dict[str, Any], host: str, addresses: list[str]) -> Iterator[Dns]:
    """Its query, which gives addresses of both families; of an address there is none."""
    if not isinstance(values.member(seen, "dns"), dict) or is_address(host) or not host:
        return
    failure, detail = words.from_ooni(values.failure(seen["dns"]))
    for family in ("A", "AAAA"):
        own = tuple(a for a in addresses if (":" in a) is (family == "AAAA"))
        if family == "AAAA" and addresses and not own:
            continue
        why = failure
        if why is None and not own:
            why = Failure.DNS_NO_ANSWER
        rcode = queries.RCODES.get(why, 0) if why is not None else 0
        yield Dns(
            name=host,
            resolver=words.SYSTEM,
            type=family,
            failure=why,
            detail=detail,
            replies=(Reply(at=0.0, rcode=rcode, answers=own),),
        )


def _role(address: str, addresses: list[str]) -> Role:
    """Its own addresses are the target's; what only the probe was given may be anybody's."""
    return Role.TARGET if address in addresses else Role.NEUTRAL


def _failure(entry: object) -> tuple[Failure | None, str | None]:
    """Why it failed; an entry may say that it did and not why."""
    failure, detail = words.from_ooni(values.failure(entry))
    if failure is None and values.member(entry, "status") is False:
        return Failure.UNKNOWN, detail
    return failure, detail


def _connections(seen: dict[str, Any], addresses: list[str]) -> Iterator[Tcp]:
    for written, entry in values.pairs(seen, "tcp_connect"):
        known = values.endpoint(written)
        if known is None:
            continue
        failure, detail = _failure(entry)
        role = _role(known[0], addresses)
        yield Tcp(address=known[0], port=known[1], role=role, failure=failure, detail=detail)


def _handshakes(seen: dict[str, Any], addresses: list[str]) -> Iterator[Tls]:
    for written, entry in values.pairs(seen, "tls_handshake"):
        known = values.endpoint(written)
        if known is None:
            continue
        failure, detail = _failure(entry)
        yield Tls(
            address=known[0],
            port=known[1],
            sni=values.text(entry, "server_name").lower()[:300] or None,
            hello="go",
            role=_role(known[0], addresses),
            # A failure for the certificate stays one: which certificate it was is not told.
            failure=failure,
            detail=detail,
            bytes_in=int(failure is None or failure in words.CERTIFICATE_FAILURES),
            # The helper verifies with Mozilla's roots, as we do.
            trust=Trust(valid=True, anchored=True, named=True) if failure is None else None,
        )


def _page(seen: dict[str, Any], input_: str, addresses: list[str]) -> Iterator[Http]:
    entry = values.member(seen, "http_request")
    if not isinstance(entry, dict):
        return
    failure, detail = words.from_ooni(values.failure(entry))
    status = values.whole(entry, "status_code") or None
    if failure is None and status is None:
        return
    headers = values.member(entry, "headers")
    named = headers.items() if isinstance(headers, dict) else ()
    pairs = [
        (name.lower().encode("latin-1", "replace"), value.encode("utf-8", "replace"))
        for name, value in list(named)[:100]
        if isinstance(name, str) and isinstance(value, str)
    ]
    length = values.whole(entry, "body_length") or 0
    declared = dict(pairs).get(b"content-length", b"")
    yield Http(
        # The end of its redirects; it does not tell where that is.
        url=UNKNOWN_END if failure is None else input_,
        address=addresses[0] if addresses else "",
        port=port_of(input_) or 0,
        host="",
        failure=failure,
        detail=detail,
        status=None if failure is not None or status is None else min(status, 9999),
        headers=page_features.named(pairs),
        title=" ".join(values.text(entry, "title").split())[:256] or None,
        declared_bytes=int(declared) if declared.isdigit() and len(declared) < 16 else None,
        received_bytes=length,
        complete=failure is None,
        bytes_in=length,
    )


def _networks(seen: dict[str, Any], test_keys: Any) -> Iterator[Ping]:
    found: Mapping[str, int] = queries.systems(test_keys)
    told = {
        address: asn
        for address, entry in values.pairs(seen, "ip_info")
        if is_address(address) and (asn := values.system(entry, "asn")) is not None
    }
    for address, asn in {**found, **told}.items():
        yield Ping(what=NETWORK, address=address, asn=asn, role=Role.NEUTRAL)
