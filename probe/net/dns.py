"""Send one DNS query to one resolver and keep every reply to it.

Over UDP the query does not end with the first reply: an injected reply precedes the real one, so
the socket stays open for a while. A query without a reply is sent again with a new id from the same
port; only replies to the transmission that was answered first are kept, so that two replies in a
record are always two replies to one packet.

The first transmission has an OPT record. A resolver, or a device before it, that fails on that
record or is silent is asked again without it, and its failure is no answer about the name.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from secrets import randbelow
from time import monotonic

from msgspec import Struct, field, structs
from msgspec.structs import replace

from probe.experiments.interface import Resolver
from probe.failure import Failure
from probe.model import Dns, Reply, Travel
from probe.net.attempt import Attempt, NetworkEvent, attempt
from probe.net.datagrams import Datagram, Datagrams
from probe.net.dial import TargetContext
from probe.net.dns_message import TYPES, Message, as_read, encode_name
from probe.net.dns_usual import query
from probe.net.dns_wire import fails_on_edns, read
from probe.net.resolver_connections import ResolverConnections, ask_over_tcp

TRANSMISSIONS = 3
MAX_REPLIES = 8
_RCODES = {
    2: Failure.DNS_SERVFAIL,
    3: Failure.DNS_NXDOMAIN,
    5: Failure.DNS_REFUSED,
}


class Listening(Struct):
    """Further replies to a question that are awaited while its first reply is in use already."""

    tasks: list[asyncio.Task[tuple[Reply, ...]]] = field(default_factory=list)

    async def complete(self, step: Dns) -> Dns:
        """The step with all replies."""
        for task in self.tasks:
            replies = await task
            if replies[:1] == step.replies[:1]:
                return structs.replace(step, replies=replies)
        return step


class Question(Struct, frozen=True):
    """A query and its resolver.

    Attributes:
        ttl: Limits the IP TTL of queries over UDP.
        local_port: Where they are sent from; None: any port.
        edns: Whether the first transmission has an OPT record.
        listening: Takes what comes after the first reply over UDP; None: it is awaited.
    """

    name: str
    type: str
    resolver: Resolver
    ttl: int | None = None
    edns: bool = True
    local_port: int | None = None
    listening: Listening | None = None

    def wire(self, id_: int, *, edns: bool) -> bytes:
        """The query as it is sent."""
        public = self.resolver.label != "system"
        return query(id_, self.name, self.type, edns=edns, nsid=public)


class DnsResult(Struct, frozen=True):
    """The outcome of a query: when it was sent, and the replies or the failure."""

    at: float
    replies: tuple[Reply, ...] = ()
    failure: Failure | None = None
    detail: str | None = None
    elapsed: float = 0.0
    travel: Travel | None = None
    edns_failed: Failure | None = None


async def measure_dns(
    target: TargetContext, connections: ResolverConnections, question: Question, limit: float | None
) -> Dns:
    """Send a query and return its step."""
    resolver, timeouts = question.resolver, target.session.timeouts
    udp = resolver.transport == "udp"
    if limit is None:
        limit = timeouts.dns_limit() if udp else timeouts.secure_dns_limit()
    slot = target.session.dns_limiter.enter(f"{resolver.transport} {resolver.address}")
    if not _is_valid(question):
        result = DnsResult(
            target.now(), failure=Failure.DNS_NON_RECOVERABLE, detail="not_a_dns_name"
        )
    elif udp:
        result = await _over_udp(target, question, limit, slot)
    else:
        async with slot, connections.turn(resolver):
            result = await _over_stream(target, connections, question, limit)
    return Dns(
        name=question.name,
        type=question.type,
        resolver=resolver.label,
        transport=resolver.transport,
        replies=result.replies,
        failure=result.failure,
        detail=result.detail,
        at=result.at,
        elapsed=round(result.elapsed, 6),
        limit=limit,
        travel=result.travel,
        edns_failed=result.edns_failed,
    )


def failure_of(message: Message, type_: str) -> Failure | None:
    """The failure that a reply means for a query of this type, or None."""
    if message.rcode:
        return _RCODES.get(message.rcode, Failure.DNS_MISBEHAVING)
    wanted = TYPES[type_]
    if message.answers if type_ in ("A", "AAAA") else wanted in message.types:
        return None
    return Failure.DNS_NO_ANSWER if message.whole else Failure.DNS_MISBEHAVING


class _UdpQuery(Struct):
    """One query over UDP: transmissions by id, and the replies kept.

    Attributes:
        answered: The id of the transmission that was answered first.
        with_edns: The id of the transmission with an OPT record.
        set_aside: A reply to it that may be a failure on the OPT record.
        mismatch: The failure if only replies to something else arrive.
    """

    question: Question
    sock: Datagrams
    sent: dict[int, float] = field(default_factory=dict)
    kept: list[tuple[Message, Reply]] = field(default_factory=list)
    at: float = 0.0
    answered: int | None = None
    with_edns: int | None = None
    set_aside: tuple[Message, Reply] | None = None
    mismatch: Failure | None = None

    def send(self) -> None:
        """Send the query with an id that is not in use; only the first has an OPT record."""
        id_ = randbelow(0x10000)
        while id_ in self.sent:
            id_ = randbelow(0x10000)
        edns = self.question.edns and not self.sent
        self.with_edns = id_ if edns else self.with_edns
        self.sent[id_] = monotonic()
        self.sock.send(self.question.wire(id_, edns=edns))

    async def first(self) -> None:
        """Send, and receive until a reply is kept."""
        self.send()
        while not self.kept:
            self.take(await self.sock.receive())

    async def listen(self) -> None:
        """Keep further replies."""
        while len(self.kept) < MAX_REPLIES:
            self.take(await self.sock.receive())

    def take(self, datagram: Datagram) -> None:
        """Keep a datagram if it is a reply to the transmission that was answered first."""
        message = read(datagram.data)
        if message is None or not message.response:
            return
        if message.id not in self.sent:
            self.mismatch = Failure.DNS_WRONG_ID
        elif not _answers(message, self.question):
            self.mismatch = self.mismatch or Failure.DNS_MISBEHAVING
        elif self.answered in (None, message.id):
            at = datagram.at - self.sent[message.id]
            self._keep(message, _reply(message, at, datagram.ip_ttl))

    def _keep(self, message: Message, reply: Reply) -> None:
        """Keep a reply, unless it may be a failure on the OPT record: then ask without one."""
        if message.id == self.with_edns and not self.kept:
            if fails_on_edns(message) and self.set_aside is None:
                self.set_aside = (message, reply)
                self.send()
                return
            if self.set_aside is not None:  # two answers to one query
                self.kept.append(self.set_aside)
        self.answered = message.id
        self.kept.append((message, reply))

    @property
    def edns_failed(self) -> Failure | None:
        """How the transmission with an OPT record failed, if one without it did not."""
        if self.with_edns is None or self.answered in (None, self.with_edns):
            return None
        if self.set_aside is None:
            return Failure.TIMEOUT
        same = self.kept[0][0].rcode == self.set_aside[0].rcode
        return None if same else failure_of(self.set_aside[0], self.question.type)


async def _over_udp(
    target: TargetContext, question: Question, limit: float, slot: AbstractAsyncContextManager[None]
) -> DnsResult:
    async with slot:
        at = target.now()
        opened = await attempt(_open(target, question), limit=limit)
        attempted = opened.value
        if attempted is None:
            return DnsResult(at, failure=opened.failure, detail=opened.detail)
        first = await _first(attempted, limit)
    # Listening sends nothing, so the slot is released already.
    if not attempted.kept:
        attempted.sock.close()
    else:
        soonest = attempted.kept[0][1].at
        target.session.timeouts.lookups.add(soonest)
        listening = _listen(attempted, target.session.timeouts.listening(soonest))
        if question.listening is None or attempted.kept[0][0].truncated:
            await listening
        else:
            question.listening.tasks.append(asyncio.create_task(listening))
    travel = _travel(attempted)
    if not attempted.kept:
        failure = attempted.mismatch or first.failure
        if travel is not None and travel.expired and failure is Failure.TIMEOUT:
            failure = Failure.HOST_UNREACHABLE
        return DnsResult(
            at, failure=failure, detail=first.detail, elapsed=first.elapsed, travel=travel
        )
    attempted.at = at
    if attempted.kept[0][0].truncated:
        return await _again_over_tcp(target, attempted, first.elapsed, limit)
    result = _result(at, question, attempted.kept, first.elapsed)
    return replace(result, travel=travel, edns_failed=attempted.edns_failed)


async def _listen(attempted: _UdpQuery, limit: float) -> tuple[Reply, ...]:
    """Await further replies, then close the socket; all replies."""
    try:
        await attempt(attempted.listen(), limit=limit)
    finally:
        attempted.sock.close()
    return tuple(reply for _, reply in attempted.kept)


def _travel(attempted: _UdpQuery) -> Travel | None:
    """The TTL of the queries and whether it expired; None if it was not limited."""
    if attempted.question.ttl is None:
        return None
    sock = attempted.sock
    expired = any(error.expired for error in sock.icmp_errors) if sock.icmp_readable else None
    return Travel(ttl=attempted.question.ttl, expired=expired)


async def _first(attempted: _UdpQuery, limit: float) -> Attempt[None]:
    """Send up to three times until a reply is kept; close the socket on an exception."""
    started = monotonic()
    first: Attempt[None] = Attempt(None, Failure.TIMEOUT, None, None, 0.0)
    try:
        for _ in range(TRANSMISSIONS):
            first = await attempt(attempted.first(), limit=limit / TRANSMISSIONS)
            if first.failure is not Failure.TIMEOUT:
                break
    except BaseException:
        attempted.sock.close()
        raise
    return replace(first, elapsed=monotonic() - started)


async def _open(target: TargetContext, question: Question) -> _UdpQuery:
    resolver = question.resolver
    sock = Datagrams(
        resolver.address,
        resolver.port,
        target.session.counter,
        ttl=question.ttl,
        local_port=question.local_port,
    )
    return _UdpQuery(question, sock)


async def _again_over_tcp(
    target: TargetContext, attempted: _UdpQuery, spent: float, limit: float
) -> DnsResult:
    """Repeat a truncated query over TCP (RFC 7766); truncated replies are dropped if that works."""
    question = attempted.question
    edns = attempted.answered == attempted.with_edns
    wire = question.wire(randbelow(0x10000), edns=edns)
    asked = await attempt(
        ask_over_tcp(target.session, question.resolver, wire), limit=limit - spent
    )
    message = read(asked.value) if asked.value is not None else None
    if message is None or not _answers(message, question):
        return _cut_off(attempted, asked.failure or Failure.DNS_MISBEHAVING, spent)
    spent += asked.elapsed
    whole = [(message, _reply(message, spent, None))]
    whole += [pair for pair in attempted.kept if not pair[0].truncated]
    return _result(attempted.at, question, whole, spent)


def _cut_off(attempted: _UdpQuery, failure: Failure, spent: float) -> DnsResult:
    """The result where only a truncated reply came: that it has no address means nothing."""
    kept = [
        (message, structs.replace(reply, truncated=message.truncated))
        for message, reply in attempted.kept
    ]
    result = _result(attempted.at, attempted.question, kept, spent)
    if result.failure is Failure.DNS_NO_ANSWER or not kept[0][0].whole:
        return replace(result, failure=failure, detail="truncated")
    return result


async def _over_stream(
    target: TargetContext, connections: ResolverConnections, question: Question, limit: float
) -> DnsResult:
    at, started = target.now(), monotonic()
    asked = await attempt(_ask(connections, question), limit=limit)
    if asked.value is None:
        if asked.failure is Failure.TIMEOUT:
            await connections.close_if_silent(question.resolver, since=started)
        return DnsResult(at, failure=asked.failure, detail=asked.detail, elapsed=asked.elapsed)
    message, edns_failed = asked.value
    reply = _reply(message, asked.elapsed, None)
    result = _result(at, question, [(message, reply)], asked.elapsed)
    return replace(result, edns_failed=edns_failed)


async def _ask(
    connections: ResolverConnections, question: Question
) -> tuple[Message, Failure | None]:
    """The reply, and how the resolver failed on the OPT record if it did."""
    message = await _ask_once(connections, question, edns=question.edns)
    if not question.edns or not fails_on_edns(message):
        return message, None
    plain = await _ask_once(connections, question, edns=False)
    same = plain.rcode == message.rcode
    return plain, None if same else failure_of(message, question.type)


async def _ask_once(connections: ResolverConnections, question: Question, *, edns: bool) -> Message:
    wire = await connections.ask(question.resolver, question.name, question.type, edns=edns)
    message = read(wire)
    if message is None or not message.response or not _answers(message, question):
        raise NetworkEvent(Failure.DNS_MISBEHAVING)
    return message


def _result(
    at: float, question: Question, kept: Sequence[tuple[Message, Reply]], elapsed: float
) -> DnsResult:
    failure = failure_of(kept[0][0], question.type)
    return DnsResult(at, tuple(reply for _, reply in kept), failure, None, elapsed)


def _is_valid(question: Question) -> bool:
    try:
        encode_name(question.name)
    except ValueError:
        return False
    return True


def _answers(message: Message, question: Question) -> bool:
    """Whether a reply is to this question; without a question section it counts as one."""
    if message.name is None:
        return True
    return message.name == as_read(question.name) and message.type == TYPES[question.type]


def _reply(message: Message, at: float, ip_ttl: int | None) -> Reply:
    return Reply(
        at=round(at, 6),
        rcode=message.rcode,
        answers=message.answers,
        cnames=message.cnames,
        ttl=message.ttl,
        ip_ttl=ip_ttl,
        alpn=message.alpn,
        edns=message.edns,
    )
