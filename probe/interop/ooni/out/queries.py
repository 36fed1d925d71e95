"""DNS queries in OONI's form (df-002): `queries`, and `x_dns_duplicate_responses`."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import ChosenSteps
from probe.model import Dns, Reply


def queries(chosen: ChosenSteps) -> list[dict[str, Any]]:
    """The queries, each with the reply that came first."""
    return [_query(step, chosen, step.replies[0] if step.replies else None) for step in _of(chosen)]


def duplicates(chosen: ChosenSteps) -> list[dict[str, Any]]:
    """The replies that came after another one to the same query; one of them may be forged."""
    return [
        _query(step, chosen, reply, failure=None, later=True)
        for step in _of(chosen)
        for reply in step.replies[1:]
    ]


def _of(chosen: ChosenSteps) -> Iterator[Dns]:
    yield from chosen.queries


def _query(
    step: Dns,
    chosen: ChosenSteps,
    reply: Reply | None,
    *,
    failure: str | None = None,
    later: bool = False,
) -> dict[str, Any]:
    failed = failure if later else words.to_ooni(step.failure, step.detail)
    return {
        "engine": words.engine(step.resolver, step.transport),
        "resolver_address": words.resolver_address(step.resolver, step.transport),
        "resolver_hostname": None,
        "resolver_port": None,
        "hostname": step.name,
        "query_type": step.type,
        "failure": failed,
        "rcode": reply.rcode if reply else None,
        "answers": list(_answers(step.name, reply)) if reply else [],
        "t0": step.at,
        "t": step.at + (reply.at if later and reply else step.elapsed),
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
