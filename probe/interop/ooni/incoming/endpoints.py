"""OONI's experiments on services: which part of the service each connection was for.

A record of a service has, for each attempt at an endpoint, a last step that sums it up
(`probe/analysis/service_attempts.py`). OONI's measurements have the connections alone, so the part
is found by the name that was asked for, in our list of endpoints.
"""

from functools import cache
from typing import Any

from msgspec.structs import replace

from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.incoming import connections, pages, queries, values
from probe.interop.ooni.incoming.connections import Handshakes
from probe.interop.ooni.incoming.step_list import Draft, StepList
from probe.model import Dns, Http, Ping, Quic, Tcp, Tls
from probe.reference_data import endpoints

_OTHER = "other servers"
_TOR = {
    "dir_port": "directories",
    "or_port": "relays",
    "or_port_dirauth": "directory authorities",
    "obfs4": "obfs4 bridges",
}


@cache
def _parts(service: str) -> dict[str, str]:
    """The part of the service that each name or address serves."""
    groups = endpoints(service)
    return {one: group.part for group in groups for one in (*group.names, *group.addresses)}


def sum_up(steps: StepList, service: str) -> None:
    """Add the step that sums up each attempt: of each connection, and of each name without one."""
    above = {id(one.parent) for one in steps.drafts if one.parent is not None}
    for draft in [one for one in steps.drafts if id(one) not in above]:
        step = draft.step
        if isinstance(step, Dns) and (step.failure is None or step.resolver != words.SYSTEM):
            continue
        steps.add(
            Ping(
                what=_parts(service).get(_host(draft), _OTHER),
                failure=_failure(draft),
                at=step.at,
                elapsed=step.elapsed,
            ),
            draft,
        )


def _host(draft: Draft) -> str:
    """The name that was asked for, else the address."""
    step, found = draft.step, ""
    match step:
        case Dns():
            found = step.name
        case Tls() | Quic():
            found = step.sni or ""
        case Http():
            found = step.host
    if found or draft.parent is None:
        return found or (step.address if isinstance(step, Tcp) else "")
    return _host(draft.parent)


def _failure(draft: Draft) -> Failure | None:
    """How the attempt failed; an unproven certificate is a failure where browsers go."""
    step = draft.step
    if isinstance(step, Tls) and step.failure is None and step.trust is not None:
        known = step.trust.authority
        own = known is not None and known.kind == "service"
        return None if step.trust.valid or own else Failure.SSL_AUTHORITY
    return step.failure


def add_tor(steps: StepList, test_keys: Any, about: Handshakes) -> None:
    """The servers that were tried, which a measurement of tor lists one by one."""
    for _, target in values.pairs(test_keys, "targets"):
        part = _TOR.get(values.text(target, "target_protocol"))
        failure, detail = words.from_ooni(values.failure(target))
        before = len(steps.drafts)
        _add_target(steps, target, about)
        made = steps.drafts[before:]
        if part is None or not made:
            continue  # of a private bridge the address was taken out
        last = made[-1]
        at, elapsed = last.step.at, last.step.elapsed
        summary = Ping(what=part, failure=failure, detail=detail, at=at, elapsed=elapsed)
        steps.add(summary, last)


def _add_target(steps: StepList, target: dict[str, Any], about: Handshakes) -> None:
    """The steps of one server; its handshake offers a random name, which means nothing."""
    own = StepList()
    queries.add(own, target, {})
    connections.add(own, target, about)
    pages.add(own, target, about.limit)
    for draft in own.drafts:
        if isinstance(draft.step, Tls):
            draft.step = replace(draft.step, sni=None)
    steps.take(own)
