"""The one door between experiments and the network.

An experiment asks through `Net` and gets finished steps back: values, never sockets, never
exceptions. So it is tested with a fake that is a dict, and everything that is hard about sockets
stays in `probe/net/`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar, runtime_checkable

from probe.experiments.option import Option
from probe.model import Control, Dns, Line, Ping, Quic, Step, Steps, Tcp, Tls, Transfer
from probe.reference_data import Resolver

T = TypeVar("T")

Hello = Literal["default", "tls12", "tls13", "split", "ech", "http11", "noalpn"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A site that must work: an anchor, or a target that was found to work in this run."""

    url: str
    address: str | None = None
    foreign: bool | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One target for one experiment.

    Attributes:
        url: Normalised URL (ASCII host, explicit path), as `targets.parse_url` gives it.
        seed: For every choice that must be repeatable.
        harmless: Names that nobody minds, to offer at the target's address, best first.
        controls: What controls saw lately; their addresses are worth trying from here.
        references: Sites that must work, best first; empty in the first sweep.
        profile: `quick`, `full` or `watch`.
        options: Experiment-specific settings from the configuration.
    """

    url: str
    seed: int = 0
    category: str | None = None
    harmless: tuple[str, ...] = ()
    controls: tuple[Control, ...] = ()
    references: tuple[Reference, ...] = ()
    profile: str = "full"
    options: Mapping[str, object] = field(default_factory=dict)


class Net(Protocol):
    """Ask the network one thing at a time; every answer is a finished step.

    Steps come back with `id` 0, no parent and role `target`: `StepLog.add` numbers and places them.
    `limit` None means: as long as this line's own round trips make sensible.
    """

    @property
    def resolvers(self) -> Sequence[Resolver]:
        """The system's resolver first, then the public ones that are still worth asking."""

    @property
    def ipv6(self) -> bool:
        """Whether this line seems to have IPv6 at all."""

    async def dns(
        self, name: str, type_: str, resolver: Resolver, *, limit: float | None = None
    ) -> Dns:
        """Ask one resolver once and collect every reply."""

    async def tcp(self, address: str, port: int, *, limit: float | None = None) -> Tcp:
        """Connect and hang up."""

    async def tls(
        self,
        address: str,
        port: int,
        sni: str | None,
        *,
        hello: Hello = "default",
        verify: str | None = None,
        limit: float | None = None,
    ) -> tuple[Tcp, Tls | None]:
        """Connect, offer `sni`, shake hands, hang up. `verify`: judge trust for this name instead.

        The handshake is None when the connection already failed.
        """

    async def http(
        self,
        url: str,
        address: str,
        *,
        host: str | None = None,
        sni: str | None = None,
        path: str | None = None,
        limit: float | None = None,
    ) -> Steps:
        """Fetch one URL from one address, following nothing: (Tcp[, Tls][, Http]) as far as it got.

        `host`, `sni` and `path` replace what the URL says, for differential looks.
        """

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        """Do several asks at once; their answers come back in the order of the asks."""

    async def pause(self, seconds: float) -> None:
        """Wait without holding anybody up."""

    def safe(self, address: str) -> bool:
        """Whether this address may be dialled at all (global, or this is a laboratory)."""


class TransferNet(Net, Protocol):
    """What the throughput experiments need besides."""

    async def transfer(
        self,
        address: str,
        port: int,
        sni: str | None,
        size: int,
        *,
        path: str,
        host: str,
        pin: str | None,
        cap: float,
        direction: Literal["down", "up"] = "down",
    ) -> Transfer:
        """Time one transfer; a stall or a cap is data, not an error."""

    async def quic(
        self, address: str, port: int, sni: str | None, *, limit: float | None = None
    ) -> Quic:
        """One QUIC handshake."""


@runtime_checkable
class QuicNet(Protocol):
    """What a net may be able to do besides: shake hands over QUIC."""

    async def quic(
        self, address: str, port: int, sni: str | None, *, limit: float | None = None
    ) -> Quic:
        """One QUIC handshake."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is said to a server that speaks a protocol of its own, and how its answer is known.

    Attributes:
        what: The word for it in the record.
        words: Makes a message of `FRESH` random bytes and the Unix time; called for each sending.
        answers: Whether what was heard (one datagram; over TCP everything so far) answers what was
            sent.
        preface: Sizes of meaningless datagrams that go before the first message: a box that knows
            a protocol by a flow's first packet does not know this one.
    """

    what: str
    words: Callable[[bytes, float], bytes]
    answers: Callable[[bytes, bytes], bool]
    preface: tuple[int, ...] = ()


FRESH = 96


@runtime_checkable
class ExchangeNet(Protocol):
    """What a net may be able to do besides: say something, and listen for the answer."""

    async def udp(
        self, address: str, port: int, talk: Exchange, *, limit: float | None = None
    ) -> Ping:
        """Say it in datagrams, a few times if need be, and wait for the answer."""

    async def talk(
        self, address: str, port: int, talk: Exchange, *, limit: float | None = None
    ) -> tuple[Tcp, Ping | None]:
        """Connect, say it, wait for the answer, hang up; None when the connection failed."""


@runtime_checkable
class GatewayNet(Protocol):
    """What a net may be able to do besides: ask for its own gateway."""

    async def gateway(self) -> Ping | None:
        """Whether the home's own router answers (None: no way to ask); never its address."""


class TtlProber(Protocol):
    """Asks one address with packets that cross so many routers only; IPv4.

    Attributes:
        raw: Why packets can not be seen one by one, or None when they are.
    """

    @property
    def raw(self) -> str | None:
        """In a few words, without an address."""

    async def hello(
        self, address: str, port: int, sni: str, ttl: int | None
    ) -> tuple[Tcp, Tls | None]:
        """Connect as usual, then offer `sni` with limited packets; `None`: not limited."""

    async def request(self, url: str, address: str, host: str, ttl: int | None) -> Steps:
        """Connect as usual, then ask over plain http with limited packets: (Tcp[, Http])."""

    async def query(self, name: str, resolver: Resolver, ttl: int) -> Dns:
        """Ask a resolver over UDP with limited packets."""

    async def routers(self, address: str, hops: int, tries: int) -> Sequence[Ping]:
        """Who is on the way, by UDP: one `router` a hop; none near the volunteer by address."""


@runtime_checkable
class TtlNet(Protocol):
    """What a net may be able to do besides: limit how far packets go."""

    def stepper(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AbstractAsyncContextManager[TtlProber]:
        """For these addresses only; `keep`: a capture of what was exchanged with them."""


Measure = Callable[[Task, Net], Awaitable[Steps]]
Confirm = Callable[[Task, Net, Steps], Awaitable[Steps]]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One way to look at a target.

    Attributes:
        measure: The first look, in the sweep.
        confirm: The second look at what did not simply work, after the sweep, interleaved with
            references: takes the first look's steps and returns all of them, its own included.
        wanted: Whether these steps need `confirm` before anybody is accused.
        alone: It loads the line, so one record of this kind is made at a time.
        once: It looks at the line and not at a target: one record a run, whose input is empty.
        extra: The optional part of the program it needs; without it its targets are skipped.
        service: It looks at a service and not at a URL: one record a run, whose input is
            `service:NAME`. Only done when it is named.
        takes: The keys that `[options.NAME]` of a configuration may have for it, and their values.
        objection: What is wrong with its options, in one line, or None.
    """

    name: str
    version: int
    measure: Measure
    confirm: Confirm | None = None
    wanted: Callable[[Task, Steps], bool] | None = None
    alone: bool = False
    once: bool = False
    extra: str | None = None
    service: bool = False
    takes: Mapping[str, Option] = field(default_factory=dict)
    objection: Callable[[Mapping[str, object]], str | None] | None = None


__all__ = [
    "Control",
    "Experiment",
    "Hello",
    "Line",
    "Net",
    "Reference",
    "Resolver",
    "Step",
    "Task",
    "TransferNet",
]
