"""The server's side of one WebSocket connection, without I/O; every byte that comes is hostile.

The library `wsproto` parses. Here are the limits: a message of any size passes through in pieces
and is counted, too long a one ends the connection, and so do more frames than honest clients need.
Nothing is compressed, whatever is offered.
"""

import struct
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError, RemoteProtocolError

# More frames than these, and than one for so many bytes, are a flood.
_FRAMES, _FRAME_BYTES = 256, 256
_QUERY_FIELDS = 64
_BINARY, _LONGEST_SHORT, _LONGEST_MEDIUM = 0x82, 125, 0xFFFF


class UpgradeRefused(Exception):  # noqa: N818 - a response, not an error
    """The request is no upgrade that this server accepts; it is answered with a status."""


@dataclass(slots=True)
class Received:
    """What some received bytes meant.

    Attributes:
        binary: Bytes of binary messages. reply: What is to be sent for it.
        ended: The other side has closed, or broken a rule or limit: nothing more is read.
    """

    binary: int = 0
    reply: bytearray = field(default_factory=bytearray)
    ended: bool = False


class WebSocketServer:
    """One connection from its upgrade to its end.

    Args:
        largest: The longest message, bytes.
        takes_binary: Binary messages may come; otherwise one ends the connection.
    """

    def __init__(self, *, largest: int, takes_binary: bool) -> None:
        self._parser = WSConnection(ConnectionType.SERVER)
        self._largest = largest
        self._takes_binary = takes_binary
        self._message = 0
        self._frames = 0
        self._bytes = 0
        self._closing = False

    def accept(self, head: bytes, subprotocol: str) -> bytes:
        """Answer an upgrade request; raises `UpgradeRefused` for anything else."""
        try:
            self._parser.receive_data(head)
            request = next(iter(self._parser.events()), None)
        except (ProtocolError, ValueError) as error:  # it decodes headers as they come
            raise UpgradeRefused from error
        if not isinstance(request, Request) or subprotocol not in request.subprotocols:
            raise UpgradeRefused
        return self._parser.send(AcceptConnection(subprotocol=subprotocol))

    def receive(self, data: bytes) -> Received:
        """Take received bytes; b"" for the end of the connection."""
        found = Received()
        if not data:
            found.ended = True
            return found
        self._bytes += len(data)
        try:
            self._parser.receive_data(data)
            for event in self._parser.events():
                if isinstance(event, CloseConnection):
                    found.ended = True
                    if not self._closing:
                        self._closing = True
                        found.reply += self._parser.send(event.response())
                    return found
                self._take(event, found)
                if found.ended:
                    return found
        except RemoteProtocolError:
            self._end(found, CloseReason.PROTOCOL_ERROR)
        return found

    def text(self, message: bytes) -> bytes:
        """A text message."""
        return b"" if self._closing else self._parser.send(TextMessage(data=message.decode()))

    def close(self, reason: CloseReason = CloseReason.NORMAL_CLOSURE) -> bytes:
        """The last frame of this side, once."""
        if self._closing:
            return b""
        self._closing = True
        return self._parser.send(CloseConnection(code=reason))

    def _take(self, event: object, found: Received) -> None:
        if isinstance(event, Message):
            self._frames += event.frame_finished
            self._message += len(event.data)
            if isinstance(event, BytesMessage):
                found.binary += len(event.data)
                if not self._takes_binary:
                    self._end(found, CloseReason.UNSUPPORTED_DATA)
            if self._message > self._largest:
                self._end(found, CloseReason.MESSAGE_TOO_BIG)
            if event.message_finished:
                self._message = 0
        else:
            self._frames += 1
            if isinstance(event, Ping) and not self._closing:
                found.reply += self._parser.send(event.response())
        if self._frames > _FRAMES + self._bytes // _FRAME_BYTES:
            self._end(found, CloseReason.POLICY_VIOLATION)

    def _end(self, found: Received, reason: CloseReason) -> None:
        found.reply += self.close(reason)
        found.ended = True


def binary_header(size: int) -> bytes:
    """The header of an unmasked binary message in one frame; its payload may follow in pieces."""
    if size <= _LONGEST_SHORT:
        return struct.pack("!BB", _BINARY, size)
    if size <= _LONGEST_MEDIUM:
        return struct.pack("!BBH", _BINARY, 126, size)
    return struct.pack("!BBQ", _BINARY, 127, size)


def check_query(target: str, longest: int) -> None:
    """Raise `UpgradeRefused` for a query string that is too long or that cannot be read."""
    query = target.partition("?")[2]
    if len(query) > longest:
        raise UpgradeRefused
    try:
        parse_qsl(query, errors="strict", max_num_fields=_QUERY_FIELDS)
    except ValueError as error:
        raise UpgradeRefused from error
