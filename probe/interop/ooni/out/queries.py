"""DNS queries in OONI's form (df-002): `queries`, and `x_dns_duplicate_responses`."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import ChosenSteps
from probe.model import Dns, Reply

_RCODES = {2: Failure.DNS_SERVFAIL, 3: Failure.DNS_NXDOMAIN, 5: Failure.DNS_REFUSED}


def queries(chosen: ChosenSteps) -> list[dict[str, Any]]:
    """The queries, each with the reply that came first."""
    return [
        _query(step, chosen, step.replies[0] if step.replies else None)
        | {"failure": words.to_ooni(step.failure, step.detail), "t": step.at + step.elapsed}
        for step in chosen.queries
    ]


def duplicates(chosen: ChosenSteps) -> list[dict[str, Any]]:
    """The replies that came after another one to the same query; one of them may be forged."""
    return [
        _query(step, chosen, reply)
        | {"failure": words.to_ooni(_failure(reply)), "t": step.at + reply.at}
        for step in chosen.queries
        for reply in step.replies[1:]
    ]


def _failure(reply: Reply) -> Failure | None:
    """What a reply alone says."""
    if reply.rcode:
        return _RCODES.get(reply.rcode, Failure.DNS_MISBEHAVING)
    return None if reply.answers else Failure.DNS_NO_ANSWER


def _query(step: Dns, chosen: ChosenSteps, reply: Reply | None) -> dict[str, Any]:
    return {
        "engine": words.engine(step.resolver, step.transport),
        "resolver_address": words.resolver_address(step.resolver, step.transport),
        "resolver_hostname": None,
        "resolver_port": None,
        "hostname": step.name,
        "query_type": step.type,
        "rcode": reply.rcode if reply else None,
        "answers": list(_answers(step.name, reply)) if reply else [],
        "t0": step.at,
        "tags": tags(step.hop),
        "transaction_id": chosen.transaction(step),
    }


def _answers(name: str, reply: Reply) -> Iterator[dict[str, Any]]:
    for alias in reply.cnames:
        yield {"answer_type": "CNAME", "hostname": alias, "ttl": None}
    for address, ttl in zip_longest(reply.answers, reply.ttl[: len(reply.answers)]):
        kind, key = ("AAAA", "ipv6") if ":" in address else ("A", "ipv4")
        yield {"answer_type": kind, "hostname": name, key: address, "ttl": ttl}


def tags(hop: int) -> list[str]:
    """How far along the redirects a step is, as web_connectivity says it."""
    return [f"depth={hop}"]
