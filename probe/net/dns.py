"""Ask one resolver one thing and keep every reply to it.

Over UDP the first reply does not end the question: an answer forged on the way overtakes the real
one, so the socket stays open a little longer. A query that may have been lost is sent again under a
new id from the same port; replies are kept only of the sending that was answered first, so that two
replies in a record are always two replies to one packet.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from secrets import randbelow
from time import monotonic

from probe.experiments.interface import Resolver
from probe.failure import Failure
from probe.model import Dns, Reply, Travel
from probe.net.attempt import Attempt, NetworkEvent, attempt
from probe.net.datagrams import Datagram, Datagrams
from probe.net.dial import TargetContext
from probe.net.dns_message import TYPES, Message, parse, query
from probe.net.resolver_connections import ResolverConnections, once_over_tcp

Turn = AbstractAsyncContextManager[None]

SENDINGS = 3
REPLIES = 8
_RCODES = {
    2: Failure.DNS_SERVFAIL,
    3: Failure.DNS_NXDOMAIN,
    5: Failure.DNS_REFUSED,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of whom; over UDP perhaps with a limited time to live."""

    name: str
    type: str
    resolver: Resolver
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class DnsResult:
    """What came of a question: when it was asked, the replies, or why there are none."""

    at: float
    replies: tuple[Reply, ...] = ()
    failure: Failure | None = None
    detail: str | None = None
    elapsed: float = 0.0
    travel: Travel | None = None


async def look_up(
    look: TargetContext, channels: ResolverConnections, question: Question, limit: float | None
) -> Dns:
    """One finished DNS step."""
    resolver, pace = question.resolver, look.door.pace
    udp = resolver.transport == "udp"
    if limit is None:
        limit = pace.dns_limit() if udp else pace.secure_dns_limit()
    turn = look.door.questions.enter(f"{resolver.transport} {resolver.address}")
    if not _is_askable(question):
        heard = DnsResult(look.now(), failure=Failure.DNS_NON_RECOVERABLE, detail="not_a_dns_name")
    elif udp:
        heard = await _over_udp(look, question, limit, turn)
    else:
        async with turn:
            heard = await _over_stream(look, channels, question, limit)
    return Dns(
        name=question.name,
        type=question.type,
        resolver=resolver.label,
        transport=resolver.transport,
        replies=heard.replies,
        failure=heard.failure,
        detail=heard.detail,
        at=heard.at,
        elapsed=round(heard.elapsed, 6),
        limit=limit,
        travel=heard.travel,
    )


def failure_of(message: Message, type_: str) -> Failure | None:
    """What a reply amounts to for the one who asked."""
    if message.rcode:
        return _RCODES.get(message.rcode, Failure.DNS_MISBEHAVING)
    wanted = TYPES[type_]
    if message.answers if type_ in ("A", "AAAA") else wanted in message.types:
        return None
    return Failure.DNS_NO_ANSWER if message.whole else Failure.DNS_MISBEHAVING


@dataclass(slots=True)
class _Conversation:
    """One question over UDP: what was sent under which id, and what came back."""

    question: Question
    sock: Datagrams
    sent: dict[int, float] = field(default_factory=dict)
    kept: list[tuple[Message, Reply]] = field(default_factory=list)
    at: float = 0.0
    answered: int | None = None
    strange: Failure | None = None

    def send(self) -> None:
        """Send the question under an id that was not used yet."""
        id_ = randbelow(0x10000)
        while id_ in self.sent:
            id_ = randbelow(0x10000)
        self.sent[id_] = monotonic()
        self.sock.send(query(id_, self.question.name, self.question.type))

    async def first(self) -> None:
        """Send, and listen until a reply is kept."""
        self.send()
        while not self.kept:
            self.take(await self.sock.receive())

    async def listen(self) -> None:
        """Keep what else comes."""
        while len(self.kept) < REPLIES:
            self.take(await self.sock.receive())

    def take(self, datagram: Datagram) -> None:
        """Keep a datagram if it is a reply to the sending that was answered first."""
        message = parse(datagram.data)
        if message is None or not message.response:
            return
        if message.id not in self.sent:
            self.strange = Failure.DNS_WRONG_ID
        elif not _answers(message, self.question):
            self.strange = self.strange or Failure.DNS_MISBEHAVING
        elif self.answered in (None, message.id):
            self.answered = message.id
            at = datagram.at - self.sent[message.id]
            self.kept.append((message, _reply(message, at, datagram.ip_ttl)))


async def _over_udp(look: TargetContext, question: Question, limit: float, turn: Turn) -> DnsResult:
    async with turn:
        at = look.now()
        opened = await attempt(_open(look, question), limit=limit)
        talk = opened.value
        if talk is None:
            return DnsResult(at, failure=opened.failure, detail=opened.detail)
        first = await _first(talk, limit)
    try:
        # Listening on burdens nobody, so the turn is somebody else's by now.
        if talk.kept:
            soonest = talk.kept[0][1].at
            look.door.pace.lookups.add(soonest)
            await attempt(talk.listen(), limit=look.door.pace.listening(soonest))
    finally:
        talk.sock.close()
    travel = _travelled(talk)
    if not talk.kept:
        failure = talk.strange or first.failure
        if travel is not None and travel.expired and failure is Failure.TIMEOUT:
            failure = Failure.HOST_UNREACHABLE
        return DnsResult(
            at, failure=failure, detail=first.detail, elapsed=first.elapsed, travel=travel
        )
    talk.at = at
    if talk.kept[0][0].truncated:
        return await _again_over_tcp(look, talk, first.elapsed, limit)
    return replace(_heard(at, question, talk.kept, first.elapsed), travel=travel)


def _travelled(talk: _Conversation) -> Travel | None:
    """How far the packets went, when that was limited."""
    if talk.question.ttl is None:
        return None
    expired = any(said.expired for said in talk.sock.said) if talk.sock.told else None
    return Travel(ttl=talk.question.ttl, expired=expired)


async def _first(talk: _Conversation, limit: float) -> Attempt[None]:
    """Ask until a first reply is kept; a lost packet is no failure while there is time."""
    started = monotonic()
    first: Attempt[None] = Attempt(None, Failure.TIMEOUT, None, None, 0.0)
    try:
        for _ in range(SENDINGS):
            first = await attempt(talk.first(), limit=limit / SENDINGS)
            if first.failure is not Failure.TIMEOUT:
                break
    except BaseException:
        talk.sock.close()
        raise
    return replace(first, elapsed=monotonic() - started)


async def _open(look: TargetContext, question: Question) -> _Conversation:
    resolver = question.resolver
    sock = Datagrams(resolver.address, resolver.port, look.door.budget, ttl=question.ttl)
    return _Conversation(question, sock)


async def _again_over_tcp(
    look: TargetContext, talk: _Conversation, spent: float, limit: float
) -> DnsResult:
    """RFC 7766: a truncated reply sends the client to TCP. Truncated replies are no evidence."""
    question = talk.question
    wire = query(randbelow(0x10000), question.name, question.type)
    asked = await attempt(once_over_tcp(look.door, question.resolver, wire), limit=limit - spent)
    message = parse(asked.value) if asked.value is not None else None
    if message is None or not _answers(message, question):
        return _heard(talk.at, question, talk.kept, spent)
    spent += asked.elapsed
    whole = [(message, _reply(message, spent, None))]
    whole += [pair for pair in talk.kept if not pair[0].truncated]
    return _heard(talk.at, question, whole, spent)


async def _over_stream(
    look: TargetContext, channels: ResolverConnections, question: Question, limit: float
) -> DnsResult:
    at, started = look.now(), monotonic()
    asked = await attempt(_ask(channels, question), limit=limit)
    if asked.value is None:
        if asked.failure is Failure.TIMEOUT:
            await channels.doubt(question.resolver, since=started)
        return DnsResult(at, failure=asked.failure, detail=asked.detail, elapsed=asked.elapsed)
    reply = _reply(asked.value, asked.elapsed, None)
    return _heard(at, question, [(asked.value, reply)], asked.elapsed)


async def _ask(channels: ResolverConnections, question: Question) -> Message:
    wire = await channels.ask(question.resolver, question.name, question.type)
    message = parse(wire)
    if message is None or not message.response or not _answers(message, question):
        raise NetworkEvent(Failure.DNS_MISBEHAVING)
    return message


def _heard(
    at: float, question: Question, kept: Sequence[tuple[Message, Reply]], elapsed: float
) -> DnsResult:
    failure = failure_of(kept[0][0], question.type)
    return DnsResult(at, tuple(reply for _, reply in kept), failure, None, elapsed)


def _is_askable(question: Question) -> bool:
    try:
        query(0, question.name, question.type)
    except ValueError:
        return False
    return True


def _answers(message: Message, question: Question) -> bool:
    """Whether a reply is about this question; one that does not say counts (forgers are lazy)."""
    if message.name is None:
        return True
    asked = question.name.removesuffix(".").lower()
    return message.name == asked and message.type == TYPES[question.type]


def _reply(message: Message, at: float, ip_ttl: int | None) -> Reply:
    return Reply(
        at=round(at, 6),
        rcode=message.rcode,
        answers=message.answers,
        cnames=message.cnames,
        ttl=message.ttl,
        ip_ttl=ip_ttl,
        alpn=message.alpn,
    )
