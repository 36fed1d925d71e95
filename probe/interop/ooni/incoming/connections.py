"""OONI's `tcp_connect` (df-005), `tls_handshakes` and `quic_handshakes` (df-006) as steps.

What a chain proves is decided by our own verification, at the time of the measurement. OONI's
client verified it too, with the roots of that day, and says so by its failure:

- It accepted a chain that was not kept: the chain was valid, as far as its word goes.
- It accepted one that leads to none of today's roots: not valid, and not forged either.
- It rejected one that was not kept: for the reason that it gives, and not shown to be for the name.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from probe import bounds
from probe.certificates.roots import Roots
from probe.certificates.trust import evaluate
from probe.failure import Failure
from probe.interop.ooni import suites, words
from probe.interop.ooni.incoming import values
from probe.interop.ooni.incoming.step_list import Draft, StepList, depth, timing, transaction
from probe.model import Dns, Quic, Tcp, Tls, Trust

# What Go's library sends; it is not our ClientHello.
HELLO = "go"
ACCEPTED = "OONI's client accepted this chain, which leads to none of today's roots."
_DER = 96 * 1024
_CHAIN = 16
# Whether bytes were sent or received.
_BYTES = {"write": 0, "write_to": 0, "read": 1, "read_from": 1}
_DONE = frozenset({"tls_handshake_done", "quic_handshake_done"})


@dataclass(slots=True)
class Handshakes:
    """What is the same for all handshakes of one measurement.

    Attributes:
        hops: The redirect at which each host is first met, where the entries do not tell.
        limit: The timeout of the version, seconds.
        certs: The certificates that were met: base64 of the DER by SHA-256.
        traffic: Bytes sent and received up to the end of each handshake, by transaction.
    """

    now: datetime
    roots: Roots
    hops: Mapping[str, int]
    limit: float
    certs: dict[str, str] = field(default_factory=dict)
    traffic: Mapping[int, tuple[int, int]] = field(default_factory=dict)


def add(steps: StepList, test_keys: Any, about: Handshakes) -> None:
    """Add a step for each connection and for each handshake."""
    named = _names(test_keys)
    for entry in values.entries(test_keys, "tcp_connect"):
        _add_connection(steps, entry, about, named)
    for entry in values.entries(test_keys, "tls_handshakes"):
        _add_handshake(steps, entry, about)
    for entry in values.entries(test_keys, "quic_handshakes"):
        _add_quic(steps, entry, about)


def _names(test_keys: Any) -> dict[str, str]:
    """The name that was asked for each address, where the entries of connections do not tell."""
    shaken = (*values.entries(test_keys, "tls_handshakes"),)
    every = ((values.text(e, "address"), values.text(e, "server_name")) for e in shaken)
    return {address: name.lower() for address, name in every if address and name}


def _add_connection(
    steps: StepList, entry: dict[str, Any], about: Handshakes, named: Mapping[str, str]
) -> None:
    port = values.whole(entry, "port")
    known = values.endpoint(words.endpoint(values.text(entry, "ip"), port or 0))
    if known is None or port is None:
        return
    address, port = known
    failure, detail = words.from_ooni(values.failure(values.member(entry, "status")))
    if failure is None and values.member(entry, "status", "success") is False:
        failure = Failure.UNKNOWN
    told = depth(entry)
    name = named.get(words.endpoint(address, port), "")
    hop = told if told is not None else about.hops.get(name, 0)
    step = Tcp(
        address=address,
        port=port,
        hop=hop,
        failure=failure,
        detail=detail,
        limit=about.limit,
        at=timing(entry)[0],
        elapsed=timing(entry)[1],
    )
    steps.add(step, _giving(steps, address, hop), transaction(entry))


def _giving(steps: StepList, address: str, hop: int) -> Draft | None:
    """The query that gave an address, the machine's resolver first."""
    found = [
        one
        for one in steps.of(Dns)
        if isinstance(one.step, Dns) and one.step.hop == hop and address in one.step.addresses
    ]
    return min(found, key=lambda one: getattr(one.step, "resolver", "") != "system", default=None)


def _add_handshake(steps: StepList, entry: dict[str, Any], about: Handshakes) -> None:
    if values.text(entry, "network") in {"udp", "quic"}:
        _add_quic(steps, entry, about)
        return
    parent, address, port = _connection(steps, entry)
    sni = values.text(entry, "server_name").lower().rstrip(".")
    if not address:
        return
    failure, detail = words.from_ooni(values.failure(entry))
    chain = _chain(entry, about.certs)
    trust, told = _trust(entry, chain, failure, sni, about)
    sent, received = about.traffic.get(transaction(entry), (0, 0))
    completed = failure is None or failure in words.CERTIFICATE_FAILURES
    if completed or chain:
        received = max(received, sum(map(len, chain)), 1)
    told_hop = depth(entry)
    above = parent.step.hop if parent is not None else None
    hop = told_hop if told_hop is not None else about.hops.get(sni, above or 0)
    version = values.text(entry, "tls_version")
    cipher = values.text(entry, "cipher_suite")
    step = Tls(
        address=address,
        port=port,
        sni=sni[:300] or None,
        hello=HELLO,
        hop=hop,
        # A handshake that ended because of its certificate worked as such.
        failure=None if failure in words.CERTIFICATE_FAILURES else failure,
        detail=told or detail,
        bytes_out=sent,
        bytes_in=received,
        version=version if version in words.TLS_VERSIONS else None,
        cipher=suites.openssl_suite(cipher),
        alpn=values.text(entry, "negotiated_protocol")[:256] or None,
        chain=tuple(hashlib.sha256(der).hexdigest() for der in chain),
        trust=trust,
        limit=about.limit,
        at=timing(entry)[0],
        elapsed=timing(entry)[1],
    )
    steps.add(step, parent, transaction(entry))


def _connection(steps: StepList, entry: dict[str, Any]) -> tuple[Draft | None, str, int]:
    """The connection of a handshake, by transaction, else by address; and where it went."""
    known = values.endpoint(values.text(entry, "address"))
    own = transaction(entry)
    tied = steps.of(Tcp, own) if own else []
    if known is None and not tied:
        return None, "", 0
    if known is None:
        step = tied[0].step
        assert isinstance(step, Tcp)  # noqa: S101 - for the type checker
        return tied[0], step.address, step.port
    same = [
        one
        for one in tied or steps.of(Tcp)
        if isinstance(one.step, Tcp) and (one.step.address, one.step.port) == known
    ]
    return (same[-1] if same else None), *known


def _add_quic(steps: StepList, entry: dict[str, Any], about: Handshakes) -> None:
    known = values.endpoint(values.text(entry, "address"))
    if known is None:
        return
    failure, detail = words.from_ooni(values.failure(entry))
    chain = _chain(entry, about.certs)
    sni = values.text(entry, "server_name").lower().rstrip(".")
    trust, told = _trust(entry, chain, failure, sni, about)
    hop = depth(entry)
    step = Quic(
        address=known[0],
        port=known[1],
        sni=sni[:300] or None,
        hop=hop if hop is not None else about.hops.get(sni, 0),
        failure=None if failure in words.CERTIFICATE_FAILURES else failure,
        detail=told or detail,
        bytes_in=sum(map(len, chain)),
        alpn=values.text(entry, "negotiated_protocol")[:256] or None,
        chain=tuple(hashlib.sha256(der).hexdigest() for der in chain),
        trust=trust,
        limit=about.limit,
        at=timing(entry)[0],
        elapsed=timing(entry)[1],
    )
    steps.add(step, _giving(steps, known[0], step.hop), transaction(entry))


# --- chains ---------------------------------------------------------------------------------------


def _chain(entry: dict[str, Any], certs: dict[str, str]) -> list[bytes]:
    """The certificates as DER, up to the first that cannot be read; new ones are kept."""
    listed = values.member(entry, "peer_certificates")
    found: list[bytes] = []
    for one in listed[:_CHAIN] if isinstance(listed, list) else ():
        der = values.octets({"data": one} if isinstance(one, str) else one, _DER)
        if not der:
            break
        found.append(der)
    for der in found:
        digest = hashlib.sha256(der).hexdigest()
        if digest not in certs and len(certs) < bounds.CERTIFICATES:
            certs[digest] = base64.b64encode(der).decode("ascii")
    return found


def _trust(
    entry: dict[str, Any], chain: list[bytes], failure: Failure | None, sni: str, about: Handshakes
) -> tuple[Trust | None, str | None]:
    """What the chain proves, and what there is to say of it."""
    accepted = failure is None and values.member(entry, "no_tls_verify") is False
    if chain:
        trust = evaluate(chain, sni or None, roots=about.roots, now=about.now)
        if accepted and not trust.valid and not trust.anchored and trust.authority is None:
            return replace(trust, anchored=True), ACCEPTED
        return trust, None
    if accepted and sni:
        return Trust(valid=True, anchored=True, named=True), None
    reason = words.trust_reason(failure)
    return (None if reason is None else Trust(valid=False, reason=reason)), None


def traffic(test_keys: Any) -> dict[int, tuple[int, int]]:
    """Bytes sent and received up to the end of each handshake, by transaction."""
    found: dict[int, list[int]] = {}
    ended: set[int] = set()
    for event in values.entries(test_keys, "network_events"):
        own, operation = event.get("transaction_id"), event.get("operation")
        if not isinstance(own, int) or not isinstance(operation, str) or own in ended:
            continue
        if operation in _DONE:
            ended.add(own)
        elif operation in _BYTES:
            sums = found.setdefault(own, [0, 0])
            sums[_BYTES[operation]] += values.whole(event, "num_bytes") or 0
    return {own: (sums[0], sums[1]) for own, sums in found.items()}
