"""The keys of `web_connectivity`: what its sections say, and our verdict as OONI words it."""

from typing import Any

from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import Chain, ChosenSteps, choose, choose_steps
from probe.interop.ooni.out.control import control_keys, final_page, nearest
from probe.interop.ooni.out.handshakes import (
    handshake_failure,
    quic_handshakes,
    tcp_connect,
    tls_handshakes,
)
from probe.interop.ooni.out.queries import duplicates, queries
from probe.interop.ooni.out.requests import requests
from probe.model import Dns, Http, Quic, Record, Tls

# OONI's threshold for two bodies of the same page.
_SAME_LENGTH = 0.7


def sections(record: Record, chosen: ChosenSteps, *, verified: bool = True) -> dict[str, Any]:
    """The keys that every experiment of OONI's shares.

    No `network_events`: readers that find one expect those of each handshake, and we keep only how
    many bytes there were.
    """
    return {
        "agent": "redirect",
        "client_resolver": words.SCRUBBED,
        "network_events": None,
        "queries": queries(chosen),
        "requests": requests(chosen),
        "tcp_connect": tcp_connect(chosen),
        "tls_handshakes": tls_handshakes(chosen, record.certs, verified=verified),
        "quic_handshakes": quic_handshakes(chosen, record.certs),
        "x_dns_duplicate_responses": duplicates(chosen),
    }


def web_keys(record: Record) -> dict[str, Any]:
    """The test keys of a record of `web`."""
    chosen = choose(record)
    accessible, blocking = words.verdict_keys(record.verdict)
    return {
        **sections(record, chosen),
        "retries": None,
        "socksproxy": None,
        **control_keys(record, chosen),
        "dns_experiment_failure": words.to_ooni(_dns_failure(chosen)),
        "dns_consistency": _consistency(record, chosen),
        "http_experiment_failure": _page_failure(chosen),
        **_comparison(record, chosen),
        "accessible": accessible,
        "blocking": blocking,
    }


def _own_queries(chosen: ChosenSteps) -> list[Dns]:
    """What the machine's resolver was asked about the input's own host."""
    return [q for q in chosen.queries if q.resolver == words.SYSTEM and q.hop == 0]


def _dns_failure(chosen: ChosenSteps) -> Failure | None:
    asked = _own_queries(chosen)
    if any(query.addresses for query in asked):
        return None
    return next((query.failure for query in asked if query.failure is not None), None)


def _consistency(record: Record, chosen: ChosenSteps) -> str | None:
    """Whether the resolver's answer is right. None: nothing shows it, or nothing was asked."""
    asked = _own_queries(chosen)
    if not asked:
        return None
    accused = record.verdict.mechanisms if record.verdict else ()
    if any(mechanism.startswith("dns.") for mechanism in accused):
        return "inconsistent"
    given = {address for query in asked for address in query.addresses}
    return "consistent" if given & _right_addresses(record, chosen) else None


def _right_addresses(record: Record, chosen: ChosenSteps) -> set[str]:
    """The addresses that proved the name, and those that the control was given."""
    proven = {step.address for step in chosen.tls if step.trust is not None and step.trust.valid}
    found = nearest(record)
    seen = choose_steps(found.steps, accusing=False).queries if found else ()
    return proven | {address for query in seen for address in query.addresses}


def _page_failure(chosen: ChosenSteps) -> str | None:
    """How opening the page failed: at the page, or before it, at the end of the redirects."""
    last = max((chain[0].hop for chain in chosen.chains), default=0)
    failures = [chain_failure(chain) for chain in chosen.chains if chain[0].hop == last]
    return None if None in failures else next(reversed(failures), None)


def chain_failure(chain: Chain) -> str | None:
    """What failed first on a connection, as OONI's client would say it."""
    for step in chain:
        failure = handshake_failure(step) if isinstance(step, Tls | Quic) else step.failure
        if failure is not None:
            return words.to_ooni(failure, step.detail)
    return None


def _comparison(record: Record, chosen: ChosenSteps) -> dict[str, bool | float | None]:
    """How the page compares with the control's. Which headers it had is not kept."""
    control = nearest(record)
    there = final_page(choose_steps(control.steps, accusing=False)) if control else None
    here = final_page(chosen) if _page_failure(chosen) is None else None
    both = _usable(here) and _usable(there) and here is not None and there is not None
    keys: dict[str, bool | float | None] = {
        "body_proportion": None,
        "body_length_match": None,
        "status_code_match": None,
        "headers_match": None,
        "title_match": None,
    }
    if not both or here is None or there is None:
        return keys
    proportion = _proportion(here.received_bytes, there.received_bytes)
    titled = here.title is not None and there.title is not None
    return keys | {
        "body_proportion": proportion,
        "body_length_match": None if proportion is None else proportion > _SAME_LENGTH,
        "status_code_match": here.status == there.status,
        "title_match": here.title == there.title if titled else None,
    }


def _usable(page: Http | None) -> bool:
    return page is not None and page.failure is None and page.status is not None


def _proportion(one: int, other: int) -> float | None:
    longer = max(one, other)
    return min(one, other) / longer if longer else None
