"""OONI's `queries` (data format df-002) as DNS steps.

`ANY` is what `getaddrinfo` was asked: addresses of both families. It becomes two queries; an empty
family is left out where the other one was answered, because nothing shows what was said of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from probe.compare import is_address
from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.incoming import values
from probe.interop.ooni.incoming.step_list import StepList, depth, timing, transaction
from probe.model import Dns, Reply, Transport

LIMIT = 4.0  # seconds, of web_connectivity 0.5; that of older ones is not told
RCODES = {
    Failure.DNS_NXDOMAIN: 3,
    Failure.DNS_SERVFAIL: 2,
    Failure.DNS_REFUSED: 5,
    Failure.DNS_NO_ANSWER: 0,
}
_FAMILIES = ("A", "AAAA")
# Networks of the best known resolvers that serve the public.
PUBLIC_RESOLVERS = frozenset({42, 13238, 13335, 15169, 19281, 34939, 36692, 205157, 212772})
_ANDROID = "android_dns_cache_no_data"


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    ttl: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Queries:
    """What is the same for all queries of one measurement.

    Attributes:
        hops: The redirect at which each host is first met, where the entries do not tell.
        public: Whether the machine's resolver is one that serves the public.
        later: Replies that came after the first one.
    """

    hops: dict[str, int]
    public: bool | None = None
    later: Sequence[dict[str, Any]] = ()


def add(
    steps: StepList, test_keys: Any, hops: dict[str, int], *, public: bool | None = None
) -> None:
    """Add a step for each query, two for one of both families."""
    later = tuple(values.entries(test_keys, "x_dns_duplicate_responses"))
    about = Queries(hops, public, later)
    for entry in values.entries(test_keys, "queries"):
        for step in _steps(entry, about):
            steps.add(step, transaction=transaction(entry))


def _steps(entry: dict[str, Any], about: Queries) -> Iterator[Dns]:
    name = values.text(entry, "hostname").rstrip(".").lower()
    type_ = values.text(entry, "query_type").upper()
    engine = values.text(entry, "engine") or words.SYSTEM
    transport = words.transport_of(engine)
    if not name or transport is None or type_ not in {*_FAMILIES, "ANY"}:
        return
    system = words.is_system(engine)
    told = depth(entry)
    failure, detail = _failure(entry)
    answers = _by_family(entry)
    for family in _families(type_, answers):
        own = answers[family]
        why = failure or (None if own.addresses else Failure.DNS_NO_ANSWER)
        at, elapsed = timing(entry)
        yield Dns(
            name=name,
            resolver=words.SYSTEM if system else _resolver(entry),
            transport=transport,
            type=family,
            hop=about.hops.get(name, 0) if told is None else told,
            failure=why,
            detail=detail,
            replies=(*_first(entry, own, why), *_later(entry, about.later, family, transport)),
            public=about.public if system else None,
            limit=LIMIT,
            at=at,
            elapsed=elapsed,
        )


def _families(type_: str, answers: dict[str, _Answer]) -> Sequence[str]:
    if type_ != "ANY":
        return (type_,)
    return [one for one in _FAMILIES if answers[one].addresses] or _FAMILIES


def _failure(entry: dict[str, Any]) -> tuple[Failure | None, str | None]:
    """Our word; what Android's resolver says is kept as it says it."""
    found = values.failure(entry)
    if isinstance(found, str) and found.startswith(_ANDROID):
        return Failure.UNKNOWN, _ANDROID
    return words.from_ooni(found)


def _first(entry: dict[str, Any], own: _Answer, failure: Failure | None) -> Iterator[Reply]:
    """The reply, where there was one: an error of the resolver is a reply, a silence is none."""
    rcode = 0
    if failure is not None and not own.addresses:
        if failure not in RCODES:
            return
        told = values.whole(entry, "rcode")
        rcode = RCODES[failure] if told is None else min(told, 65_535)
    _, elapsed = timing(entry)
    yield Reply(at=elapsed, rcode=rcode, answers=own.addresses, cnames=own.cnames, ttl=own.ttl)


def _later(
    entry: dict[str, Any], later: Iterable[dict[str, Any]], family: str, transport: Transport
) -> Iterator[Reply]:
    """Further replies to one query, which only an injector or a broken resolver sends."""
    own = transaction(entry)
    for one in later if transport == "udp" and own else ():
        if transaction(one) != own or values.text(one, "query_type") != family:
            continue
        answer = _by_family(one)[family]
        failure, _ = words.from_ooni(values.failure(one))
        if answer.addresses or failure in RCODES:
            rcode = 0 if answer.addresses or failure is None else RCODES[failure]
            yield Reply(at=timing(entry)[1], rcode=rcode, answers=answer.addresses)


def _by_family(entry: dict[str, Any]) -> dict[str, _Answer]:
    found: dict[str, list[tuple[str, int | None]]] = {"A": [], "AAAA": []}
    cnames: list[str] = []
    for one in values.entries(entry, "answers"):
        kind = values.text(one, "answer_type")
        if kind == "CNAME":
            cnames.append(values.text(one, "hostname").rstrip("."))
        elif kind in found:
            address = values.text(one, "ipv4" if kind == "A" else "ipv6")
            if is_address(address):
                found[kind].append((address, values.whole(one, "ttl")))
    return {
        family: _Answer(
            tuple(address for address, _ in every),
            tuple(filter(None, cnames)),
            tuple(ttl for _, ttl in every if ttl is not None),
        )
        for family, every in found.items()
    }


def _resolver(entry: dict[str, Any]) -> str:
    """The address or the host of a resolver that is not the machine's."""
    written = values.text(entry, "resolver_address")
    if "://" in written:
        try:
            return (urlsplit(written).hostname or "unknown")[:300]
        except ValueError:
            return "unknown"
    known = values.endpoint(written)
    return known[0] if known is not None else (written[:300] or "unknown")


def systems(test_keys: Any) -> dict[str, int]:
    """The network of each address in the answers, as the probe looked it up."""
    found: dict[str, int] = {}
    for entry in values.entries(test_keys, "queries"):
        for one in values.entries(entry, "answers"):
            asn = values.system(one, "asn")
            for name in ("ipv4", "ipv6"):
                address = values.text(one, name)
                if asn is not None and is_address(address):
                    found[address] = asn
    return found
