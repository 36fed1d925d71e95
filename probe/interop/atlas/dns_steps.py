"""RIPE Atlas's `dns` results as DNS steps.

A result has no question of its own: it is in the reply, or in the query where the measurement kept
that. A query that failed without either has the question of other results of its measurement.
"""

import base64
import binascii
from collections.abc import Iterator
from functools import cache

from msgspec.structs import replace

from probe.failure import Failure
from probe.interop.atlas.messages import AtlasAnswer, AtlasResult
from probe.model import Dns, Reply, Transport
from probe.net import dns_message
from probe.public_address import is_global
from probe.reference_data import public_resolvers

SYSTEM = "system"
_DOT = 853
_RCODES = {2: Failure.DNS_SERVFAIL, 3: Failure.DNS_NXDOMAIN, 5: Failure.DNS_REFUSED}
_TYPES = {number: name for name, number in dns_message.TYPES.items()}
_KEPT = 10_000


class Questions:
    """The question of each measurement, as far as its results agree."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[str, str] | None] = {}

    def learn(self, measurement: int, asked: tuple[str, str]) -> None:
        """Note what a result shows."""
        if measurement in self._of or len(self._of) < _KEPT:
            known = self._of.setdefault(measurement, asked)
            self._of[measurement] = asked if known == asked else None

    def of(self, measurement: int) -> tuple[str, str] | None:
        """The question of all its results so far, or None."""
        return self._of.get(measurement)


def steps(result: AtlasResult, questions: Questions) -> list[Dns]:
    """The queries of a result; none where their question is not known."""
    return [replace(one, id=n) for n, one in enumerate(_steps(result, questions), 1)]


def _steps(result: AtlasResult, questions: Questions) -> Iterator[Dns]:
    own = result.resultset is not None
    for number, answer in enumerate(result.resultset or (result,), 1):
        message = _message(answer.result.abuf) if answer.result is not None else None
        asked = _question(message) or _question(_message(answer.qbuf))
        if asked is not None:
            questions.learn(result.msm_id, asked)
        asked = asked or questions.of(result.msm_id)
        if asked is None:
            continue
        yield _step(answer, asked, message, own=own, number=number)


def _step(
    answer: AtlasAnswer,
    asked: tuple[str, str],
    message: dns_message.Message | None,
    *,
    own: bool,
    number: int,
) -> Dns:
    """One query. `own`: it went to a resolver of the probe, whose address is not kept."""
    name, type_ = asked
    address = answer.dst_addr or ""
    hidden = own and address not in _public()
    took = ((answer.result.rt if answer.result else None) or 0.0) / 1000
    replies = () if message is None else (_reply(message, took),)
    silent = isinstance(answer.error, dict) and "timeout" in answer.error
    lost = Failure.TIMEOUT if silent else Failure.UNKNOWN
    return Dns(
        name=name,
        resolver=SYSTEM if hidden or not address else address,
        transport=_transport(answer),
        type=type_,
        try_=number,
        replies=replies,
        failure=lost if message is None else _failure(message, type_),
        nearby=not is_global(address) if hidden and address else None,
        elapsed=took,
    )


def _reply(message: dns_message.Message, at: float) -> Reply:
    return Reply(
        at=at,
        rcode=message.rcode,
        answers=message.answers,
        cnames=message.cnames,
        ttl=message.ttl,
        alpn=message.alpn,
        truncated=message.truncated,
    )


def _failure(message: dns_message.Message, type_: str) -> Failure | None:
    if message.rcode:
        return _RCODES.get(message.rcode, Failure.DNS_MISBEHAVING)
    if message.answers or (type_ not in {"A", "AAAA"} and message.types):
        return None
    return Failure.DNS_NO_ANSWER if message.whole else Failure.DNS_MISBEHAVING


def _transport(answer: AtlasAnswer) -> Transport:
    if str(answer.dst_port) == str(_DOT):
        return "dot"
    return "tcp" if (answer.proto or "").upper() == "TCP" else "udp"


def _message(text: str | None) -> dns_message.Message | None:
    try:
        wire = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    return dns_message.parse(wire) if wire else None


def _question(message: dns_message.Message | None) -> tuple[str, str] | None:
    """Name and type; None where a message has none that a record can have."""
    if message is None or not message.name or message.type not in _TYPES:
        return None
    return message.name.rstrip(".").lower(), _TYPES[message.type]


@cache
def _public() -> frozenset[str]:
    """Resolvers that serve the public: their addresses say nothing about a probe."""
    return frozenset(one.address for one in public_resolvers())
