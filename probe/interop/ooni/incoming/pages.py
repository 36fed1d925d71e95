"""OONI's `requests` (data format df-001), newest first there, as HTTP steps in their order.

A request of an old probe that failed before anything could be sent stands beside the query, the
connection or the handshake that failed; it is no exchange, and makes no step.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from probe.compare import host_of, port_of
from probe.failure import Failure
from probe.interop.ooni import words
from probe.interop.ooni.incoming import values
from probe.interop.ooni.incoming.connections import ACCEPTED
from probe.interop.ooni.incoming.step_list import Draft, StepList, depth, timing, transaction
from probe.model import Dns, Http, Tcp, Tls
from probe.net import page_features
from probe.redirects import redirect_target

# OONI keeps half a MiB of a body. What is compared is in its beginning.
BODY = 2 * 1024 * 1024
_READ = 64 * 1024
NO_HANDSHAKE = "OONI recorded no handshake for this request."
_HEADERS = 100


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a request went: over which step, to which address."""

    over: Draft | None
    address: str
    port: int


def ordered(test_keys: Any) -> list[dict[str, Any]]:
    """The requests, the oldest first."""
    return list(values.entries(test_keys, "requests"))[::-1]


def hops_of(input_: str, test_keys: Any) -> dict[str, int]:
    """The redirect at which each host is first met."""
    found = {host_of(input_): 0}
    for number, entry in enumerate(ordered(test_keys)):
        told = depth(entry)
        host = host_of(values.text(entry, "request", "url"))
        found.setdefault(host, min(number if told is None else told, 32))
    return found


def add(steps: StepList, test_keys: Any, limit: float) -> None:
    """Add a step for each exchange."""
    for number, entry in enumerate(ordered(test_keys)):
        told = depth(entry)
        hop = min(number, 32) if told is None else told
        step, over = _step(steps, entry, hop, limit)
        if step is not None:
            steps.add(step, over, transaction(entry))


def _step(
    steps: StepList, entry: dict[str, Any], hop: int, limit: float
) -> tuple[Http | None, Draft | None]:
    url = values.text(entry, "request", "url")
    host, port = host_of(url), port_of(url)
    if not host or port is None or urlsplit(url).scheme not in {"http", "https"}:
        return None, None
    failure, detail = words.from_ooni(values.failure(entry))
    place = _place(steps, entry, (host, port), hop)
    if failure is not None and _failed_before(steps, place, hop, host, failure):
        return None, None
    shaken = place.over.step if place.over is not None else None
    over_tls = isinstance(shaken, Tls)
    if url.startswith("https:") and not over_tls:
        detail = NO_HANDSHAKE
    trust = shaken.trust if isinstance(shaken, Tls) else None
    if isinstance(shaken, Tls) and shaken.detail == ACCEPTED:
        detail = ACCEPTED
    proven = over_tls and trust is not None and trust.valid and url.startswith("https:")
    step = Http(
        url=url,
        address=place.address,
        port=place.port,
        host=(_header(entry, "host") or host)[:300],
        method=values.text(entry, "request", "method")[:64] or "GET",
        proven=proven,
        hop=hop,
        failure=failure,
        detail=detail,
        limit=limit,
        at=timing(entry)[0],
        elapsed=timing(entry)[1],
    )
    return _with_answer(step, entry), place.over


# --- over which connection ------------------------------------------------------------------------


def _place(steps: StepList, entry: dict[str, Any], server: tuple[str, int], hop: int) -> _Place:
    """The handshake or connection of an exchange: by transaction, by address, else by name."""
    own, known = transaction(entry), values.endpoint(values.text(entry, "address"))
    host, port = server
    kind: type[Tls | Tcp] = Tls
    if values.text(entry, "request", "url").startswith("http:"):
        kind = Tcp
    every = steps.of(kind, own) if own else [o for o in steps.of(kind) if _hop(o) == hop]
    every = every or steps.of(kind)
    found = [o for o in every if _fits(o, known, host, port) and o.step.failure is None]
    if found:
        step = found[-1].step
        assert isinstance(step, Tls | Tcp)  # noqa: S101 - for the type checker
        return _Place(found[-1], step.address, step.port)
    if known is not None:
        return _Place(None, *known)
    # Old probes dial what the machine's resolver gives, and leave the address out.
    asked = [o.step for o in steps.of(Dns) if isinstance(o.step, Dns) and o.step.name == host]
    system = [a for s in asked if s.resolver == words.SYSTEM for a in s.addresses]
    return _Place(None, system[0] if system else "", port)


def _hop(draft: Draft) -> int:
    return draft.step.hop


def _fits(draft: Draft, known: tuple[str, int] | None, host: str, port: int) -> bool:
    step = draft.step
    if not isinstance(step, Tls | Tcp):
        return False
    if known is not None:
        return (step.address, step.port) == known
    named = not isinstance(step, Tls) or step.sni == host
    return named and step.port == port


def _failed_before(steps: StepList, place: _Place, hop: int, host: str, failure: Failure) -> bool:
    """A step below the exchange failed, and nothing shows that one was begun."""
    if place.over is not None:
        return False
    below = [
        one.step
        for one in steps.drafts
        if one.step.failure is not None or _is_rejected(one)
        if one.step.hop == hop or (isinstance(one.step, Dns) and one.step.name == host)
    ]
    alike = any(step.failure is failure for step in below)
    certificate = failure in words.CERTIFICATE_FAILURES
    return alike or certificate or (bool(below) and failure.value.startswith("dns_"))


def _is_rejected(draft: Draft) -> bool:
    step = draft.step
    return isinstance(step, Tls) and step.trust is not None and not step.trust.valid


# --- what came ------------------------------------------------------------------------------------


def _with_answer(step: Http, entry: dict[str, Any]) -> Http:
    """The step with what is known of the response."""
    answer = values.member(entry, "response")
    status = values.whole(answer, "code")
    if not status:
        return step
    pairs = _headers(answer)
    named = dict(reversed(pairs))
    body = values.octets(values.member(answer, "body"), BODY) or b""
    cut = values.member(answer, "body_is_truncated") is True
    began = body[:_READ]
    text = page_features.as_text(began, named.get(b"content-type", b""))
    declared = named.get(b"content-length", b"")
    whole = step.failure is None and not cut
    return replace(
        step,
        status=min(status, 9999),
        headers=page_features.named(pairs),
        location=redirect_target(step.url, named.get(b"location", b"")),
        title=page_features.title(text),
        declared_bytes=int(declared) if declared.isdigit() and len(declared) < 16 else None,
        received_bytes=max(len(body), values.whole(answer, "x_body_length") or 0),
        complete=whole,
        sha256=hashlib.sha256(body).hexdigest() if body and whole else None,
        # There is no hash of the control's page to compare with, and TLS proves who wrote this one.
        links=() if step.proven else page_features.linked_hosts(text),
        body=None if step.proven else base64.b64encode(body[: page_features.EXCERPT]).decode(),
        bytes_in=len(body) + sum(len(name) + len(value) for name, value in pairs) + 1,
    )


def _headers(answer: Any) -> list[tuple[bytes, bytes]]:
    """The headers, names in lower case; the list has those that are there twice."""
    listed = values.member(answer, "headers_list")
    found = [
        (_name(one[0]), _value(one[1]))
        for one in (listed[:_HEADERS] if isinstance(listed, list) else ())
        if isinstance(one, list) and len(one) == 2 and isinstance(one[0], str)
    ]
    named = values.member(answer, "headers")
    if not found and isinstance(named, dict):
        every = list(named.items())[:_HEADERS]
        # Probes before 2020 gave a list of values.
        first = ((name, v[0] if isinstance(v, list) and v else v) for name, v in every)
        found = [(_name(name), _value(value)) for name, value in first]
    return found


def _name(text: str) -> bytes:
    return text.lower().encode("latin-1", "replace")[:256]


def _value(data: Any) -> bytes:
    return (values.octets(data, values.TEXT) or b"")[: values.TEXT]


def _header(entry: dict[str, Any], name: str) -> str:
    found = dict(_headers(values.member(entry, "request"))).get(name.encode(), b"")
    return found.decode("utf-8", "replace").partition(":")[0].lower()
