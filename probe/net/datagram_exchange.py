"""Say one thing to a server in its own protocol, and listen for its answer.

What is said and how the answer is known come from the experiment; here are the sending, the
waiting, the random bytes and the clock. Whatever else comes back is counted and passed over.
"""

import asyncio
import time
from dataclasses import dataclass
from secrets import token_bytes

from msgspec.structs import replace

from probe.experiments.operations import FRESH_BYTES, AppMessage, Exchange
from probe.failure import Failure
from probe.model import Ping, Tcp
from probe.net.address_policy import is_dialable
from probe.net.attempt import Attempt, NetworkEvent, attempt
from probe.net.datagrams import Datagrams
from probe.net.dial import NOT_DIALLED, Peer, TargetContext, open_tcp
from probe.net.stream import Stream

# Datagrams get lost: the question is sent again, made anew, within the time there is.
SENDINGS = 3
# An answer is a few dozen bytes; whoever sends this much speaks another protocol.
_ENOUGH = 16 * 1024


@dataclass(slots=True)
class _Counted:
    """What went out and came in, also when it comes to nothing."""

    bytes_out: int = 0
    bytes_in: int = 0


async def over_udp(look: TargetContext, exchange: Exchange) -> Ping:
    """Ask in datagrams; a port that refuses is told apart from silence."""
    door, one = look.door, exchange
    limit = door.pace.dns_limit() if one.limit is None else one.limit
    step = Ping(what=one.message.protocol, address=one.address, port=one.port, limit=limit)
    if not is_dialable(one.address, lab=door.lab):
        said = Attempt[None](None, Failure.NETWORK_UNREACHABLE, NOT_DIALLED, None, 0.0)
        return _placed(step, look.now(), said, _Counted())
    async with door.gate.enter(one.address):
        at, counted = look.now(), _Counted()
        said = await attempt(_ask_in_datagrams(look, one, counted, limit), limit=limit)
    return _placed(step, at, said, counted)


async def over_tcp(look: TargetContext, exchange: Exchange) -> tuple[Tcp, Ping | None]:
    """Connect, send the message, wait for its answer."""
    one, limit = exchange, exchange.limit
    async with look.door.gate.enter(one.address):
        tcp, stream = await open_tcp(look, Peer(one.address, one.port), limit)
        if stream is None:
            return tcp, None
        try:
            allowed = look.door.pace.tls_limit(tcp.elapsed) if limit is None else limit
            at = look.now()
            said = await attempt(_ask_in_a_stream(stream, one.message), limit=allowed)
        finally:
            stream.close()
    counted = _Counted(stream.bytes_out, stream.bytes_in)
    step = Ping(what=one.message.protocol, address=one.address, port=one.port, limit=allowed)
    return tcp, _placed(step, at, said, counted)


def _placed(step: Ping, at: float, said: Attempt[None], counted: _Counted) -> Ping:
    return replace(
        step,
        at=at,
        failure=said.failure,
        detail=said.detail,
        elapsed=round(said.elapsed, 6),
        bytes_out=counted.bytes_out,
        bytes_in=counted.bytes_in,
    )


def _build(message: AppMessage) -> bytes:
    return message.build(token_bytes(FRESH_BYTES), time.time())


async def _ask_in_datagrams(
    look: TargetContext, exchange: Exchange, counted: _Counted, limit: float
) -> None:
    sock = Datagrams(exchange.address, exchange.port, look.door.budget)
    message, sent = exchange.message, list[bytes]()
    hearing = asyncio.ensure_future(_hear(sock, message, sent, counted))
    try:
        for size in message.preface:
            _send(sock, token_bytes(size), counted)
        for _ in range(SENDINGS):
            sent.append(_build(message))
            _send(sock, sent[-1], counted)
            done, _ = await asyncio.wait((hearing,), timeout=limit / (SENDINGS + 1))
            if done:
                break
        await hearing
    finally:
        hearing.cancel()
        await asyncio.wait((hearing,))
        sock.close()


def _send(sock: Datagrams, data: bytes, counted: _Counted) -> None:
    sock.send(data)
    counted.bytes_out += len(data)


async def _hear(sock: Datagrams, message: AppMessage, sent: list[bytes], counted: _Counted) -> None:
    while True:
        heard = (await sock.receive()).data
        counted.bytes_in += len(heard)
        if any(message.is_answer(one, heard) for one in sent):
            return


async def _ask_in_a_stream(stream: Stream, message: AppMessage) -> None:
    sent = _build(message)
    await stream.write(sent)
    heard = b""
    while not message.is_answer(sent, heard):
        more = await stream.read()
        if not more:
            raise NetworkEvent(Failure.EOF)
        heard += more
        if len(heard) > _ENOUGH:
            raise NetworkEvent(Failure.UNKNOWN, "another_protocol")
