"""The I/O of a run, as interfaces that tests replace by fakes.

`wiring.py` makes the real ones.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct, field

from probe.api_types import BulkReply, RecheckTarget
from probe.experiments.interface import Experiment, Reference, TransferNet
from probe.model import Control, Record, Vantage
from probe.runner.networks import NetworkTable

Controls = Mapping[str, tuple[Control, ...]]


class TargetNet(TransferNet, Protocol):
    """The net for one target; it also keeps the certificates that servers sent."""

    @property
    def certs(self) -> Mapping[str, bytes]:
        """DER by SHA-256."""


class Session(Protocol):
    """The network session of a run."""

    @property
    def bytes_in(self) -> int:
        """Received so far."""

    @property
    def bytes_out(self) -> int:
        """Sent so far."""

    @property
    def roots(self) -> str | None:
        """The root store that certificates are verified with."""

    @property
    def resolvers_dead(self) -> Sequence[str]:
        """Resolvers that did not answer."""

    def net(self, origin: float) -> TargetNet:
        """A net whose steps count from `origin`, a monotonic instant."""

    def reference_net(self, origin: float) -> TargetNet:
        """The same for reference sites, whose connections are limited apart from targets'."""


class ControlSource(Protocol):
    """Control measurements of the same targets. Never raises: without a collector it has none."""

    @property
    def answered(self) -> bool:
        """Whether a collector answered, so that the connection works."""

    @property
    def answer_times(self) -> Sequence[float]:
        """When collectors answered, Unix time."""

    @property
    def clock_offset(self) -> float | None:
        """This machine's clock minus a collector's, seconds; None without an answer."""

    async def controls(self, inputs: Sequence[str]) -> Controls:
        """Recent control measurements of these targets."""

    async def recheck(self, asks: Sequence[RecheckTarget]) -> Controls:
        """Have controls measure these targets now, and return the measurements."""


class RecordStore(Protocol):
    """Keeps finished records: the spool, the results."""

    def keep(self, record: Record, line: bytes, /) -> None:
        """Store a record (`line` is its encoding); raises `OSError` when the disk refuses it."""


class RunDependencies(Struct, frozen=True):
    """The I/O of one run.

    Attributes:
        experiments: All experiments, by name.
        harmless: Names to offer at a target's address instead of its own.
        vantage: The vantage point as far as it is known; waits for a collector for a few seconds.
        bulk_servers: The bulk servers that collectors announce.
        collectors: Host and port of each collector's HTTPS endpoint.
        networks: The user's table of networks.
    """

    session: Callable[[], AbstractAsyncContextManager[Session]]
    experiments: Mapping[str, Experiment]
    anchors: tuple[Reference, ...]
    harmless: tuple[str, ...]
    vantage: Callable[[], Awaitable[Vantage]]
    controls: ControlSource
    bulk_servers: Callable[[], Awaitable[tuple[BulkReply, ...]]]
    collectors: tuple[tuple[str, int], ...] = ()
    networks: NetworkTable = field(default_factory=lambda: NetworkTable(None))
