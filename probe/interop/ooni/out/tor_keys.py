"""The keys of `tor`: each public server under its address.

A bridge of the volunteer's own configuration has no address in a record and is left out. The
servers use certificates made for the day, which nothing verifies (`no_tls_verify`).
"""

from types import MappingProxyType
from typing import Any

from probe.analysis.service_attempts import EndpointAttempt, attempts, by_endpoint
from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import choose
from probe.interop.ooni.out.web_keys import sections
from probe.model import Record

# What a part of the service is in OONI's words; the second is only connected to.
_PROTOCOLS = MappingProxyType(
    {"directory authorities": "or_port_dirauth", "directories": "dir_port"}
)
_COUNTED = ("dir_port", "obfs4", "or_port", "or_port_dirauth")


def tor_keys(record: Record) -> dict[str, Any]:
    """The test keys of a record of `tor`."""
    shown = sections(record, choose(record), verified=False)
    targets: dict[str, dict[str, Any]] = {}
    for (host, port), tried in by_endpoint(attempts(record.steps)).items():
        protocol = _PROTOCOLS.get(tried[0].part)
        if protocol is not None and port is not None:
            address = words.endpoint(host, port)
            targets[address] = _target(address, protocol, tried, shown)
    return {**_counts(targets), "targets": targets}


def _target(
    address: str, protocol: str, tried: list[EndpointAttempt], shown: dict[str, Any]
) -> dict[str, Any]:
    best = next((one for one in tried if one.failure is None), tried[0])
    connections = [
        one for one in shown["tcp_connect"] if words.endpoint(one["ip"], one["port"]) == address
    ]
    handshakes = [one for one in shown["tls_handshakes"] if one["address"] == address]
    return {
        "agent": "redirect",
        "failure": words.to_ooni(best.failure, best.summary.detail),
        "network_events": None,
        "queries": None,
        "requests": None,
        "summary": _summary(connections, handshakes),
        "target_address": address,
        "target_protocol": protocol,
        "tcp_connect": connections,
        "tls_handshakes": handshakes,
    }


def _summary(
    connections: list[dict[str, Any]], handshakes: list[dict[str, Any]]
) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    if connections:
        found["connect"] = {"failure": connections[0]["status"]["failure"]}
    if handshakes:
        found["handshake"] = {"failure": handshakes[0]["failure"]}
    return found


def _counts(targets: dict[str, dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for protocol in _COUNTED:
        of_it = [one for one in targets.values() if one["target_protocol"] == protocol]
        counts[f"{protocol}_total"] = len(of_it)
        counts[f"{protocol}_accessible"] = sum(one["failure"] is None for one in of_it)
    return counts
