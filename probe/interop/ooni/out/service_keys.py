"""The keys of `whatsapp`, `signal` and `facebook_messenger`.

What works is said of each endpoint. That something is blocked stands only where our verdict accuses
the network: OONI counts every failing endpoint as an anomaly, and one that fails everywhere, or on
a dead line, is none. What is not known is null; all of it is in the whole record.
"""

from collections import defaultdict
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from probe.analysis.service_attempts import EndpointAttempt, attempts
from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import ChosenSteps, accuses, choose
from probe.interop.ooni.out.web_keys import sections
from probe.model import Outcome, Record

# The names that OONI's keys have for the hosts; those of `star` and `stun` we do not measure.
_FACEBOOK = MappingProxyType(
    {
        "b-api.facebook.com": "b_api",
        "b-graph.facebook.com": "b_graph",
        "edge-mqtt.facebook.com": "edge",
        "external.xx.fbcdn.net": "external_cdn",
        "scontent.xx.fbcdn.net": "scontent_cdn",
        "star.c10r.facebook.com": "star",
        "stun.fbsbx.com": "stun",
    }
)
_CALM = frozenset({Outcome.OK, Outcome.THROTTLED, Outcome.DOWN, Outcome.REFUSED})


def whatsapp_keys(record: Record) -> dict[str, Any]:
    """The test keys of a record of `whatsapp`: no page is requested, so `requests` is empty."""
    found = attempts(record.steps)
    messages = _of_part(found, "messages")
    registration = _state(_of_part(found, "registration"), record)
    web = _state(_of_part(found, "web"), record)
    hosts = _by_host(messages)
    blocked = [host for host, tried in hosts.items() if not _works(tried)]
    return {
        **sections(record, choose(record)),
        "registration_server_status": registration[0],
        "registration_server_failure": registration[1],
        "whatsapp_web_status": web[0],
        "whatsapp_web_failure": web[1],
        "whatsapp_endpoints_status": _state(messages, record)[0],
        "whatsapp_endpoints_blocked": blocked if accuses(record.verdict) else [],
        "whatsapp_endpoints_dns_inconsistent": [],
    }


def signal_keys(record: Record) -> dict[str, Any]:
    """The test keys of a record of `signal`: every server is needed."""
    hosts = _by_host(attempts(record.steps))
    states = [_state(tried, record) for tried in hosts.values()]
    failing = next((state for state in states if state[0] == "blocked"), None)
    working = bool(states) and all(state[0] == "ok" for state in states)
    return {
        **sections(record, choose(record)),
        "failure": None,
        "failed_operation": None,
        "signal_backend_status": failing[0] if failing else "ok" if working else None,
        "signal_backend_failure": failing[1] if failing else None,
    }


def facebook_keys(record: Record) -> dict[str, Any]:
    """The test keys of a record of `messenger`."""
    chosen = choose(record)
    hosts = _by_host(attempts(record.steps))
    endpoints: dict[str, bool | None] = {}
    for host, name in _FACEBOOK.items():
        tried = hosts.get(host, [])
        endpoints[f"facebook_{name}_dns_consistent"] = _resolves(host, tried, chosen, record)
        endpoints[f"facebook_{name}_reachable"] = _reachable(tried, record)
    return {
        **sections(record, chosen),
        "socksproxy": None,
        **endpoints,
        "facebook_dns_blocking": _accused(record, "dns."),
        "facebook_tcp_blocking": _accused(record, "tcp."),
    }


# --- one endpoint ------------------------------------------------------------------------------

Tried = Sequence[EndpointAttempt]


def _of_part(found: Tried, part: str) -> list[EndpointAttempt]:
    return [one for one in found if one.part == part]


def _by_host(found: Tried) -> dict[str, list[EndpointAttempt]]:
    """The attempts by the name or address that the app knows."""
    hosts: defaultdict[str, list[EndpointAttempt]] = defaultdict(list)
    for one in found:
        hosts[one.endpoint[0]].append(one)
    return dict(hosts)


def _works(tried: Tried) -> bool:
    return any(one.failure is None for one in tried)


def _state(tried: Tried, record: Record) -> tuple[str | None, str | None]:
    """`ok` or `blocked` and the failure; nothing where that is not known."""
    if _works(tried):
        return "ok", None
    if not tried or not accuses(record.verdict):
        return None, None
    failure = tried[0].failure or Failure.UNKNOWN
    return "blocked", words.to_ooni(failure, tried[0].summary.detail)


def _reachable(tried: Tried, record: Record) -> bool | None:
    """Whether a connection was made: what comes after it does not count there."""
    connections = [one.tcp for one in tried if one.tcp is not None]
    if any(step.failure is None for step in connections):
        return True
    return False if connections and accuses(record.verdict) else None


def _resolves(host: str, tried: Tried, chosen: ChosenSteps, record: Record) -> bool | None:
    """Whether the resolver's answer is right: proven there, or what another resolver says too."""
    asked = [query for query in chosen.queries if query.name == host]
    given = {a for q in asked if q.resolver == words.SYSTEM for a in q.addresses}
    others = {a for q in asked if q.resolver != words.SYSTEM for a in q.addresses}
    if any(one.proven for one in tried) or given & others:
        return True
    return False if asked and not given and _accused(record, "dns.") else None


def _accused(record: Record, layer: str) -> bool | None:
    """Whether the verdict says that the network interferes in this way. None: nothing decided."""
    verdict = record.verdict
    if verdict is None:
        return None
    if accuses(verdict):
        return any(mechanism.startswith(layer) for mechanism in verdict.mechanisms)
    return False if verdict.outcome in _CALM else None
