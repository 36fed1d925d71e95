"""Send one message of an application protocol and wait for its answer.

The experiment defines the message and recognises the answer; this module has the I/O, the random
bytes and the clock. Other data that arrives is counted and ignored.
"""

import asyncio
import time
from secrets import token_bytes

from msgspec import Struct
from msgspec.structs import replace

from probe.experiments.operations import FRESH_BYTES, AppMessage, Exchange
from probe.failure import Failure
from probe.model import Ping, Tcp
from probe.net.address_policy import is_dialable
from probe.net.attempt import Attempt, NetworkEvent, attempt
from probe.net.datagrams import Datagrams
from probe.net.dial import NOT_DIALLED, ServerEndpoint, TargetContext, connected
from probe.net.stream import Stream

# Datagrams get lost: a new message is sent again within the limit.
TRANSMISSIONS = 3
# An answer is a few dozen bytes; a server that sends this much speaks another protocol.
_MAX_ANSWER = 16 * 1024


class _Counted(Struct):
    """Bytes sent and received so far."""

    bytes_out: int = 0
    bytes_in: int = 0


async def exchange_udp(target: TargetContext, exchange: Exchange) -> Ping:
    """Send in datagrams; a refused port is distinguished from a timeout."""
    session, one = target.session, exchange
    limit = session.timeouts.dns_limit() if one.limit is None else one.limit
    step = Ping(what=one.message.protocol, address=one.address, port=one.port, limit=limit)
    if not is_dialable(one.address, lab=session.lab):
        outcome = Attempt[None](None, Failure.NETWORK_UNREACHABLE, NOT_DIALLED, None, 0.0)
        return _finished(step, target.now(), outcome, _Counted())
    async with session.limiter.enter(one.address):
        at, counted = target.now(), _Counted()
        outcome = await attempt(_send_datagrams(target, one, counted, limit), limit=limit)
    return _finished(step, at, outcome, counted)


async def exchange_tcp(target: TargetContext, exchange: Exchange) -> tuple[Tcp, Ping | None]:
    """Connect, send the message, wait for its answer."""
    one, limit = exchange, exchange.limit
    destination = ServerEndpoint(one.address, one.port)
    async with connected(target, destination, limit) as (tcp, stream):
        if stream is None:
            return tcp, None
        allowed = target.session.timeouts.tls_limit(tcp.elapsed) if limit is None else limit
        at = target.now()
        outcome = await attempt(_send_over_stream(stream, one.message), limit=allowed)
    counted = _Counted(stream.bytes_out, stream.bytes_in)
    step = Ping(what=one.message.protocol, address=one.address, port=one.port, limit=allowed)
    return tcp, _finished(step, at, outcome, counted)


def _finished(step: Ping, at: float, outcome: Attempt[None], counted: _Counted) -> Ping:
    return replace(
        step,
        at=at,
        failure=outcome.failure,
        detail=outcome.detail,
        elapsed=round(outcome.elapsed, 6),
        bytes_out=counted.bytes_out,
        bytes_in=counted.bytes_in,
    )


def _build(message: AppMessage) -> bytes:
    return message.build(token_bytes(FRESH_BYTES), time.time())


async def _send_datagrams(
    target: TargetContext, exchange: Exchange, counted: _Counted, limit: float
) -> None:
    sock = Datagrams(exchange.address, exchange.port, target.session.counter)
    message, sent = exchange.message, list[bytes]()
    receiving = asyncio.ensure_future(_receive_answer(sock, message, sent, counted))
    try:
        for size in message.preface:
            _send(sock, token_bytes(size), counted)
        for _ in range(TRANSMISSIONS):
            sent.append(_build(message))
            _send(sock, sent[-1], counted)
            done, _ = await asyncio.wait((receiving,), timeout=limit / (TRANSMISSIONS + 1))
            if done:
                break
        await receiving
    finally:
        receiving.cancel()
        await asyncio.wait((receiving,))
        sock.close()


def _send(sock: Datagrams, data: bytes, counted: _Counted) -> None:
    sock.send(data)
    counted.bytes_out += len(data)


async def _receive_answer(
    sock: Datagrams, message: AppMessage, sent: list[bytes], counted: _Counted
) -> None:
    while True:
        received = (await sock.receive()).data
        counted.bytes_in += len(received)
        if any(message.is_answer(one, received) for one in sent):
            return


async def _send_over_stream(stream: Stream, message: AppMessage) -> None:
    sent = _build(message)
    await stream.write(sent)
    received = b""
    while not message.is_answer(sent, received):
        more = await stream.read()
        if not more:
            raise NetworkEvent(Failure.EOF)
        received += more
        if len(received) > _MAX_ANSWER:
            raise NetworkEvent(Failure.UNKNOWN, "another_protocol")
