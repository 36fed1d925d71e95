"""The interface between experiments and the network.

An experiment calls `Net` and gets finished steps back: values, never sockets, never exceptions. So
it is tested with a fake that is a dict, and everything that is hard about sockets stays in
`probe/net/`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeVar, runtime_checkable

from msgspec import Struct, field

from probe.experiments.operations import (
    DnsQuery,
    Exchange,
    HttpRequest,
    QuicHandshake,
    TcpConnect,
    TlsHandshake,
    TransferRequest,
)
from probe.experiments.option import Option
from probe.model import Control, Dns, Line, Ping, Quic, Step, Steps, Tcp, Tls, Transfer
from probe.reference_data import Resolver

T = TypeVar("T")


class Reference(Struct, frozen=True):
    """A reference site: an anchor, or a target that was found to work in this run.

    Attributes:
        foreign: Outside the country; None: not known. essential: a white list would let it through.
    """

    url: str
    address: str | None = None
    foreign: bool | None = None
    essential: bool = False


def nothing() -> None:
    """Do nothing, where no listener is given."""


class Task(Struct, frozen=True):
    """One target for one experiment.

    Attributes:
        url: Normalised URL (ASCII host, explicit path), as `targets.parse_url` gives it.
        seed: For every choice that must be repeatable.
        harmless: Names that are not blocked, to offer at the target's address, best first.
        controls: What controls saw lately; their addresses are worth trying from here.
        references: Reference sites, best first; empty in the first sweep.
        profile: `quick`, `full` or `watch`.
        suspected: This target drew suspicion before, in this run or in an earlier one.
        options: Experiment-specific settings from the configuration.
        only_compares: Called when all that a measurement still awaits is comparisons, which should
            hold up no other target.
    """

    url: str
    seed: int = 0
    category: str | None = None
    harmless: tuple[str, ...] = ()
    controls: tuple[Control, ...] = ()
    references: tuple[Reference, ...] = ()
    profile: str = "full"
    suspected: bool = False
    options: Mapping[str, object] = field(default_factory=dict)
    only_compares: Callable[[], None] = nothing

    @property
    def harmless_name(self) -> str | None:
        """The harmless name of this task, or None if there is none."""
        return self.harmless[self.seed % len(self.harmless)] if self.harmless else None

    @property
    def reference(self) -> Reference | None:
        """The best reference site, or None if there is none."""
        return self.references[0] if self.references else None


class Net(Protocol):
    """One measurement operation at a time; each returns finished steps.

    Steps are returned with `id` 0, no parent and role `target`; `StepLog.add` numbers them.
    """

    @property
    def resolvers(self) -> Sequence[Resolver]:
        """The system's resolver first, then the public ones that answer."""

    @property
    def ipv6(self) -> bool:
        """Whether this line seems to have IPv6."""

    async def dns(self, query: DnsQuery) -> Dns:
        """Ask one resolver once and collect every reply."""

    async def tcp(self, connect: TcpConnect) -> Tcp:
        """Connect and close."""

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        """Connect and complete a handshake; None when the connection already failed."""

    async def http(self, request: HttpRequest) -> Steps:
        """Fetch one URL: (Tcp[, Tls][, Http]) up to the first failure."""

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        """Run several operations concurrently; results in the order of `asks`."""

    async def pause(self, seconds: float) -> None:
        """Wait without blocking other measurements."""

    def safe(self, address: str) -> bool:
        """Whether this address may be dialled at all (global, or this is a laboratory)."""


@runtime_checkable
class EarlyDnsNet(Protocol):
    """A net that gives an answer while further replies to the same query are awaited."""

    async def early_dns(self, query: DnsQuery) -> tuple[Dns, Awaitable[Dns]]:
        """The step as of the first reply, and the whole one, which has further replies."""


@runtime_checkable
class QuicNet(Protocol):
    """A net that supports QUIC."""

    async def quic(self, handshake: QuicHandshake) -> Quic:
        """One QUIC handshake."""


class TransferNet(Net, QuicNet, Protocol):
    """A net that also times transfers, as the throughput experiments need."""

    async def transfer(self, request: TransferRequest) -> Transfer:
        """Time one transfer; a stall or a cap is data, not an error."""


@runtime_checkable
class ExchangeNet(Protocol):
    """A net that can send messages of other application protocols."""

    async def exchange_udp(self, exchange: Exchange) -> Ping:
        """Send the message in datagrams, repeated on loss, and wait for the answer."""

    async def exchange_tcp(self, exchange: Exchange) -> tuple[Tcp, Ping | None]:
        """Connect, send, wait for the answer, close; None when the connection failed."""


@runtime_checkable
class GatewayNet(Protocol):
    """A net that can test its own gateway."""

    async def gateway(self) -> Ping | None:
        """Whether the home router answers (None: it cannot be tested); never its address."""


class TtlProber(Protocol):
    """Sends packets with a limited IP time to live to one address; IPv4.

    A flow is a number with a local port of its own, so that its packets go one way.

    Attributes:
        raw: Why single packets cannot be captured, in a few words; None when they are.
    """

    @property
    def raw(self) -> str | None:
        """In a few words, without an address."""

    async def syn(self, address: str, port: int, ttl: int, flow: int) -> Tcp:
        """One SYN with this TTL."""

    async def hello(
        self, address: str, port: int, sni: str, ttl: int | None, flow: int | None = None
    ) -> tuple[Tcp, Tls | None]:
        """Connect normally, then send `sni` in packets with this TTL; `None`: not limited."""

    async def request(
        self, url: str, address: str, host: str, ttl: int | None, flow: int | None = None
    ) -> Steps:
        """Connect normally, then send a plain-http request with this TTL: (Tcp[, Http])."""

    async def query(self, name: str, resolver: Resolver, ttl: int, flow: int | None = None) -> Dns:
        """Query a resolver over UDP with this TTL."""

    async def routers(self, address: str, hops: int, tries: int) -> Sequence[Ping]:
        """The routers on the path, by UDP: one `router` a hop; none near the user by address."""


@runtime_checkable
class TtlNet(Protocol):
    """A net that can limit how far packets go."""

    def ttl_prober(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AbstractAsyncContextManager[TtlProber]:
        """For these addresses only; `keep`: capture the packets exchanged with them."""


class FlowProber(Protocol):
    """Sends packets with a limited TTL in flows of constant ports; IPv4.

    A flow is a number. The steps have `travel`, with `expired` where a router reported it.
    """

    async def syn(self, address: str, port: int, ttl: int, flow: int) -> Tcp:
        """One SYN with this TTL."""

    async def hello(self, address: str, port: int, sni: str, ttl: int, flow: int) -> Tls | None:
        """Connect normally, then offer `sni` with this TTL; None: not connected."""

    async def datagram(self, address: str, ttl: int, flow: int) -> Ping:
        """One datagram with this TTL, to a closed port."""

    async def routers(self, address: str, hops: int) -> Sequence[Ping]:
        """The routers on the path, by UDP; none near the user by address."""


@runtime_checkable
class FlowNet(Protocol):
    """A net that can follow a few flows with limited TTL."""

    def flow_prober(self) -> FlowProber | None:
        """None: the system cannot, or the run has done it for enough targets."""


Measure = Callable[[Task, Net], Awaitable[Steps]]
Confirm = Callable[[Task, Net, Steps], Awaitable[Steps]]


RunFact = Literal["anchors", "bulk_servers", "collectors", "daily_quota", "own_server"]


class FollowUp(Struct, frozen=True):
    """When an experiment is run on slow pages that another experiment fetched.

    Attributes:
        most: Targets a run, the slowest first.
        seconds: Skipped when less measuring time is left.
    """

    most: int
    seconds: float


class Share(Struct, frozen=True):
    """What an experiment gets of a run of one profile.

    Attributes:
        purpose: Only listed targets of this purpose; None: all.
        targets: How many of a list at most; None: all.
        seconds: No further target is begun when its targets took this long together; None: no
            limit of its own.
        bytes: The same for the bytes of its targets, both directions together.
        options: Its options in this profile; configured ones win.
    """

    purpose: str | None = None
    targets: int | None = None
    seconds: float | None = None
    bytes: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)


class Experiment(Struct, frozen=True):
    """One way to measure a target, and what the runner has to do for it.

    Attributes:
        measure: The measurement of the sweep.
        confirm: The confirmation of a suspicion, after the sweep, interleaved with reference sites:
            takes the steps of the measurement and returns them followed by its own.
        needs_confirmation: Whether these steps are suspicious, so that no verdict may rest on them
            alone.
        exclusive: It loads the line: one record at a time, after all other experiments.
        once: It measures the line, not a target: one record a run, whose input is empty.
        extra: The optional dependency it needs; without it its targets are skipped.
        service: It measures a service, not a URL: one record a run, whose input is
            `service:NAME`.
        takes: The keys that `[options.NAME]` of a configuration may have, and their values.
        objection: What is wrong with its options, in one line, or None.
        remark: What a user who named it should know before it runs, in one line, or None.
        fetches_pages: It fetches each target as a browser would. Targets it finds ok serve as
            reference sites, slow pages are followed up, and controls use it for rechecks.
        follow_up: It follows up slow pages.
        purpose: The purpose of the listed targets it is for, where it is named by `-e`; it takes
            others only when they are named too.
        profiles: Its share of the runs of each profile that it belongs to.
        given: Facts of the run that it gets as options: `anchors` (with their classes; as
            `country_of`, the country of an address),
            `collectors` (host and TLS port), `own_server` (the address of a known bulk server),
            `bulk_servers` (as `bulk`, with `standing`, their health in this run), and
            `daily_quota` (as `budget`).
    """

    name: str
    version: int
    measure: Measure
    confirm: Confirm | None = None
    needs_confirmation: Callable[[Task, Steps], bool] | None = None
    exclusive: bool = False
    once: bool = False
    extra: str | None = None
    service: bool = False
    takes: Mapping[str, Option] = field(default_factory=dict)
    objection: Callable[[Mapping[str, object]], str | None] | None = None
    remark: Callable[[Mapping[str, object]], str | None] | None = None
    fetches_pages: bool = False
    follow_up: FollowUp | None = None
    purpose: str | None = None
    profiles: Mapping[str, Share] = field(default_factory=dict)
    given: frozenset[RunFact] = frozenset()


__all__ = [
    "Control",
    "Experiment",
    "Line",
    "Net",
    "Reference",
    "Resolver",
    "Share",
    "Step",
    "Task",
    "TransferNet",
]
