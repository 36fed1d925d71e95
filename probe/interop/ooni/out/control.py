"""A control measurement in the form of an answer of OONI's test helper: `control`.

TLS and QUIC have today's words, everything else the helper's old ones. A handshake stands only
where the connection to the same address does; readers rely on that.
"""

from collections.abc import Sequence
from typing import Any

from probe.compare import host_of, is_bogon
from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import ChosenSteps, choose_steps
from probe.interop.ooni.out.handshakes import handshake_failure
from probe.interop.ooni.out.requests import canonical
from probe.model import Control, Dns, Http, Quic, Record, Steps, Tls

# Bits of `flags`: who resolved the name to the address, and what the address is.
BY_PROBE, BY_HELPER, BOGON, PROVEN = 1, 2, 4, 8
NO_CONTROL = f"{words.UNKNOWN}: no control measurement of this target"


def nearest(record: Record) -> Control | None:
    """The control measurement nearest in time."""
    usable = [one for one in record.control if one.steps]
    return min(usable, key=lambda one: abs(one.age), default=None)


def control_keys(record: Record, chosen: ChosenSteps) -> dict[str, Any]:
    """`control` and `control_failure` of a measurement."""
    found = nearest(record)
    if found is None:
        return {"control": None, "control_failure": NO_CONTROL}
    addresses = [a for query in chosen.queries for a in query.addresses]
    answer = helper_answer(found.steps, record.input, probe_addresses=addresses)
    return {"control": answer, "control_failure": None}


def helper_answer(steps: Steps, url: str, *, probe_addresses: Sequence[str] = ()) -> dict[str, Any]:
    """What a test helper that took these steps would have answered for this URL."""
    chosen = choose_steps(steps, accusing=False)
    connected = _connections(chosen)
    host = host_of(url)
    named = [query for query in chosen.queries if query.name == host]
    addresses = list(dict.fromkeys(a for query in named for a in query.addresses))
    return {
        "tcp_connect": connected,
        "tls_handshake": _handshakes([s for s in chosen.tls if _of(s) in connected]),
        "quic_handshake": _handshakes(chosen.quic),
        "http_request": _page(chosen, host),
        "http3_request": None,
        "dns": {"failure": _dns_failure(named, addresses), "addrs": addresses},
        "ip_info": _ip_info(probe_addresses, addresses, chosen),
    }


def _of(step: Tls | Quic) -> str:
    return words.endpoint(step.address, step.port)


def _connections(chosen: ChosenSteps) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for step in chosen.connections:
        where = words.endpoint(step.address, step.port)
        if step.failure is None or where not in found:
            failure = words.to_legacy("tcp", step.failure)
            found[where] = {"status": step.failure is None, "failure": failure}
    return found


def _handshakes(steps: Sequence[Tls | Quic]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for step in steps:
        failure = words.to_ooni(handshake_failure(step))
        if failure is None or _of(step) not in found:
            named = {"server_name": step.sni or "", "status": failure is None}
            found[_of(step)] = {**named, "failure": failure}
    return found


def _dns_failure(named: Sequence[Dns], addresses: Sequence[str]) -> str | None:
    """Of the query that a helper would send; one answer is enough."""
    failed = next((query.failure for query in named if query.failure is not None), None)
    return None if addresses else words.to_legacy("dns", failed)


def final_page(chosen: ChosenSteps) -> Http | None:
    """The last page on the way of redirects."""
    pages = [step for step, _ in chosen.exchanges]
    return max(pages, key=lambda page: (page.hop, page.failure is None, page.at), default=None)


def _page(chosen: ChosenSteps, host: str) -> dict[str, Any]:
    page = final_page(chosen)
    if page is None or page.failure is not None or page.status is None:
        return {
            "body_length": -1,
            "discovered_h3_endpoint": "",
            "failure": _why_no_page(chosen, page),
            "title": "",
            "headers": {},
            "status_code": -1,
        }
    headers = {canonical(name): value for name, value in page.headers.items()}
    announced = any("h3" in reply.alpn for query in chosen.queries for reply in query.replies)
    return {
        "body_length": page.received_bytes,
        "discovered_h3_endpoint": f"{host}:443" if announced else "",
        "failure": None,
        "title": page.title or "",
        "headers": headers,
        "status_code": page.status,
    }


def _why_no_page(chosen: ChosenSteps, page: Http | None) -> str:
    steps = [*chosen.queries, *(step for chain in chosen.chains for step in chain)]
    failed = [page.failure] if page else [step.failure for step in steps if step.failure]
    return words.to_legacy("http", failed[-1] if failed else None) or "unknown_error"


def _ip_info(
    probe: Sequence[str], helper: Sequence[str], chosen: ChosenSteps
) -> dict[str, dict[str, int]]:
    proven = {step.address for step in chosen.tls if step.trust is not None and step.trust.valid}
    found: dict[str, dict[str, int]] = {}
    for address in dict.fromkeys([*probe, *helper]):
        flags = BY_PROBE * (address in probe) | BY_HELPER * (address in helper)
        flags |= BOGON * is_bogon(address) | PROVEN * (address in proven)
        found[address] = {"asn": 0, "flags": flags}
    return found
