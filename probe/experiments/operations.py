"""The operations of the network interface: one request object each, and what they say.

`limit` is in seconds; None leaves it to the net, which derives it from the line's round trips.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal, Protocol

from msgspec import Struct

from probe.cookies import CookieJar
from probe.reference_data import Resolver

ClientHello = Literal["default", "tls12", "tls13", "split", "ech", "http11", "noalpn"]
# How a plain http request is written: as a browser does, or otherwise (docs/hellos.md).
RequestForm = Literal[
    "default",
    "lower_case",
    "upper_case",
    "name_case",
    "no_space",
    "space",
    "tab",
    "last",
    "second_segment",
    "split",
    "dot",
    "port",
    "absolute",
    "head",
    "root",
]
TransferDirection = Literal["down", "up"]
TransferProtocol = Literal["http", "ndt7"]

FRESH_BYTES = 96


@dataclass(frozen=True, slots=True)
class DnsQuery:
    """Ask one resolver once and collect every reply. `type`: an RR type name."""

    name: str
    resolver: Resolver
    _: KW_ONLY
    type: str = "A"
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class TcpConnect:
    """Connect and close."""

    address: str
    port: int
    _: KW_ONLY
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class TlsHandshake:
    """Connect, offer `sni` (None: no name), complete the handshake, close.

    Attributes:
        hello: The shape of the ClientHello.
        verify: The name that the chain is verified for; None: `sni`.
        segment_limit: The largest TCP segment in both directions; None: the system's.
    """

    address: str
    port: int
    sni: str | None
    _: KW_ONLY
    hello: ClientHello = "default"
    verify: str | None = None
    segment_limit: int | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Fetch one URL from one address without following redirects.

    `host`, `sni` and `path` replace what the URL has, for differential measurements. `cookies` are
    sent, and get those of the response.
    `segment_limit`: the largest TCP segment in both directions; None: the system's.
    `form`: how a plain request is written; nothing but `default` over TLS.
    """

    url: str
    address: str
    _: KW_ONLY
    form: RequestForm = "default"
    host: str | None = None
    sni: str | None = None
    path: str | None = None
    segment_limit: int | None = None
    limit: float | None = None
    cookies: CookieJar | None = None


@dataclass(frozen=True, slots=True)
class QuicHandshake:
    """One QUIC handshake that offers `sni`."""

    address: str
    port: int
    sni: str | None
    _: KW_ONLY
    limit: float | None = None


class TransferDialogue(Protocol):
    """What is said over the connection of one transfer, without I/O.

    `feed` and `close` raise a network event for what is no answer.
    """

    @property
    def protocol(self) -> TransferProtocol:
        """Its name in the record."""

    @property
    def status(self) -> int | None:
        """The HTTP status, once it came."""

    @property
    def received(self) -> int:
        """Bytes of the body that came."""

    @property
    def done(self) -> bool:
        """Everything wanted was moved, or the other side has ended it."""

    @property
    def whole(self) -> bool:
        """It is complete, so that the connection may end."""

    @property
    def cut(self) -> bool:
        """The other side has ended it before everything wanted was moved."""

    def ask(self) -> bytes:
        """The request."""

    def block(self) -> bytes:
        """What is to be sent next; b"" while there is nothing."""

    def feed(self, data: bytes, /) -> None:
        """Take decrypted bytes in order."""

    def close(self) -> None:
        """The other side ended the connection properly."""


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Time one transfer of `size` bytes over its own TLS connection.

    Attributes:
        host: The Host header. path: the request's path.
        pin: Hex SHA-256 of the public key that the server must prove, or None.
        cap: Seconds from the request to the end; a silence may make it up to 5 seconds longer.
        hold: Seconds from the request on in which next to nothing is read (`HELD_BYTES`).
        dialogue: What is said in place of one HTTP request; it serves one transfer.
    """

    address: str
    port: int
    sni: str | None
    size: int
    _: KW_ONLY
    path: str
    host: str
    pin: str | None = None
    cap: float
    hold: float = 0.0
    direction: TransferDirection = "down"
    dialogue: TransferDialogue | None = None


class AppMessage(Struct, frozen=True):
    """The first message of an application protocol, and how its answer is recognised.

    Attributes:
        protocol: The protocol's name in the record.
        build: Makes the message from `FRESH_BYTES` random bytes and the Unix time; called for each
            transmission.
        is_answer: Whether received bytes (one datagram; over TCP everything so far) answer the
            bytes that were sent.
        preface: Sizes of random datagrams to send before the first message. A middlebox that
            classifies a flow by its first packet does not recognise the protocol then.
    """

    protocol: str
    build: Callable[[bytes, float], bytes]
    is_answer: Callable[[bytes, bytes], bool]
    preface: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send a message to an endpoint and wait for its answer."""

    address: str
    port: int
    message: AppMessage
    _: KW_ONLY
    limit: float | None = None
