"""Connections and handshakes in OONI's form: `tcp_connect`, `tls_handshakes`, `quic_handshakes`.

Our handshake accepts every certificate and judges the chain later; OONI's fails for it at once. So
a handshake that worked with a chain that proves nothing has a failure there, by our trust.
"""

from collections.abc import Mapping
from typing import Any

from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import ChosenSteps
from probe.interop.ooni.out.queries import tags
from probe.interop.ooni.suites import iana_suite
from probe.model import Quic, Tls, Trust


def tcp_connect(chosen: ChosenSteps) -> list[dict[str, Any]]:
    """The connection attempts (df-005)."""
    return [
        {
            "ip": step.address,
            "port": step.port,
            "status": {
                "success": step.failure is None,
                "failure": words.to_ooni(step.failure, step.detail),
            },
            "t0": step.at,
            "t": step.at + step.elapsed,
            "tags": tags(step.hop),
            "transaction_id": chosen.transaction(step),
        }
        for step in chosen.connections
    ]


def tls_handshakes(
    chosen: ChosenSteps, certs: Mapping[str, str], *, verified: bool = True
) -> list[dict[str, Any]]:
    """The TLS handshakes (df-006). Not `verified`: the service proves itself in another way."""
    return [
        _handshake(step, chosen, certs, verified=verified)
        | {
            "network": "tcp",
            "tls_version": step.version or "",
            "cipher_suite": iana_suite(step.cipher) or "",
        }
        for step in chosen.tls
    ]


def quic_handshakes(chosen: ChosenSteps, certs: Mapping[str, str]) -> list[dict[str, Any]]:
    """The QUIC handshakes, in the same form; QUIC has TLS 1.3 only."""
    return [
        _handshake(step, chosen, certs, verified=True)
        | {
            "network": "udp",
            "tls_version": "TLSv1.3" if step.failure is None else "",
            "cipher_suite": "",
        }
        for step in chosen.quic
    ]


def _handshake(
    step: Tls | Quic, chosen: ChosenSteps, certs: Mapping[str, str], *, verified: bool
) -> dict[str, Any]:
    found = (certs[sha256] for sha256 in step.chain if sha256 in certs)
    failure = handshake_failure(step) if verified else step.failure
    return {
        "address": words.endpoint(step.address, step.port),
        "server_name": step.sni or "",
        "failure": words.to_ooni(failure, step.detail),
        "negotiated_protocol": step.alpn or "",
        "no_tls_verify": not verified,
        "peer_certificates": [{"format": "base64", "data": each} for each in found],
        "t0": step.at,
        "t": step.at + step.elapsed,
        "tags": tags(step.hop),
        "transaction_id": chosen.transaction(step),
    }


def handshake_failure(step: Tls | Quic) -> Failure | None:
    """How the handshake failed, or what its chain does not prove."""
    if step.failure is not None or step.trust is None or _is_the_service(step.trust):
        return step.failure
    return None if step.trust.valid else words.ssl_failure(step.trust.reason)


def _is_the_service(trust: Trust) -> bool:
    """The chain verified under the private root of a service's own apps, as its app checks it."""
    known = trust.authority
    return known is not None and known.kind == "service" and known.proof == "verified"
