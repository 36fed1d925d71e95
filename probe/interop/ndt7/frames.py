"""The frames of a WebSocket as an ndt7 client needs them: counted, not kept; every byte is hostile.

This is no library for WebSockets. A client of ndt7 throws away what it receives and sends random
bytes, so a payload is neither stored nor masked: random bytes under any mask are random bytes.
"""

import os
import struct
from dataclasses import dataclass, field
from typing import Final

from probe.failure import Failure
from probe.interop.ndt7.protocol import LARGEST_MESSAGE
from probe.net.attempt import NetworkEvent

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_LONGEST_CONTROL = 125
# Bytes of a header by its short length: two or eight more for a length that does not fit.
_LONGER: Final[dict[int, tuple[int, str]]] = {126: (4, "!H"), 127: (10, "!Q")}
# More frames than these, and than one for so many bytes, are a flood.
_FRAMES, _FRAME_BYTES = 1024, 256


def client_frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame whose payload on the wire is `payload` itself."""
    return _header(opcode, len(payload)) + os.urandom(4) + payload


def control_frame(opcode: int, payload: bytes) -> bytes:
    """One masked control frame that says `payload`."""
    key = os.urandom(4)
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return _header(opcode, len(payload)) + key + masked


def _header(opcode: int, size: int) -> bytes:
    if size <= _LONGEST_CONTROL:
        return struct.pack("!BB", _FIN | opcode, _MASKED | size)
    if size <= 0xFFFF:
        return struct.pack("!BBH", _FIN | opcode, _MASKED | 126, size)
    return struct.pack("!BBQ", _FIN | opcode, _MASKED | 127, size)


@dataclass(slots=True)
class FrameCounter:
    """What a server's frames carry.

    Attributes:
        binary: Payload bytes of binary messages so far. closed: A close frame came.
        pongs: Frames that answer its pings.
    """

    binary: int = 0
    closed: bool = False
    pongs: bytearray = field(default_factory=bytearray)
    _head: bytes = b""
    _opcode: int = 0
    _left: int = 0
    _control: bytearray = field(default_factory=bytearray)
    _message: int | None = None  # the opcode of the message that a continuation continues
    _size: int = 0
    _kind_is_binary: bool = False
    _frames: int = 0
    _bytes: int = 0

    def feed(self, data: bytes) -> None:
        """Take bytes in order; raises `NetworkEvent` for what no server may send."""
        view = memoryview(data)
        self._bytes += len(data)
        while view and not self.closed:
            if self._left:
                count = min(self._left, len(view))
                self._carry(view[:count])
                view = view[count:]
            else:
                view = self._begin(view)

    def _begin(self, view: memoryview) -> memoryview:
        """Read a header, or keep its part."""
        wanted = 2 - len(self._head)
        if wanted <= 0:
            wanted = _LONGER[self._head[1] & _LENGTH][0] - len(self._head)
        self._head += bytes(view[:wanted])
        if len(self._head) >= 2:
            self._check_first()
            short = self._head[1] & _LENGTH
            whole = _LONGER[short][0] if short in _LONGER else 2
            if len(self._head) == whole:
                self._open(short)
        return view[wanted:]

    def _check_first(self) -> None:
        first, second = self._head[0], self._head[1]
        opcode, short = first & _OPCODE, second & _LENGTH
        control = opcode >= CLOSE
        known = opcode in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}
        whole = bool(first & _FIN) and short <= _LONGEST_CONTROL
        if first & _RESERVED or second & _MASKED or not known or (control and not whole):
            raise _broken("FRAME")

    def _open(self, short: int) -> None:
        head, self._head = self._head, b""
        first, opcode = head[0], head[0] & _OPCODE
        size = struct.unpack(_LONGER[short][1], head[2:])[0] if short in _LONGER else short
        self._frames += 1
        if self._frames > _FRAMES + self._bytes // _FRAME_BYTES:
            raise _broken("FLOOD")
        if opcode < CLOSE:
            self._continue(opcode, size, last=bool(first & _FIN))
        self._opcode, self._left = opcode, size
        self._control.clear()
        if not size:
            self._end()

    def _continue(self, opcode: int, size: int, *, last: bool) -> None:
        if (opcode == CONTINUATION) is (self._message is None):
            raise _broken("FRAGMENT")
        kind = opcode or self._message
        self._size = size if opcode else self._size + size
        if self._size > LARGEST_MESSAGE:
            raise _broken("TOO_LONG")
        self._kind_is_binary = kind == BINARY
        self._message = None if last else kind

    def _carry(self, part: memoryview) -> None:
        if self._opcode >= CLOSE:
            self._control += part
        elif self._kind_is_binary:
            self.binary += len(part)
        self._left -= len(part)
        if not self._left:
            self._end()

    def _end(self) -> None:
        if self._opcode == CLOSE:
            self.closed = True
        elif self._opcode == PING:
            self.pongs += control_frame(PONG, bytes(self._control))


def _broken(detail: str) -> NetworkEvent:
    return NetworkEvent(Failure.UNKNOWN, f"WEBSOCKET_{detail}")
