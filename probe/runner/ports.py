"""Everything that a run uses and does not make itself, as ports: a fake of each is a few lines.

`job/outfit.py` puts the real ones together for the command line.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from probe.api_types import BulkReply, RecheckAsk
from probe.experiments.interface import Experiment, Reference, TransferNet
from probe.model import Control, Earlier, Line, Record, RunFacts, Steps, Vantage, Verdict

Controls = Mapping[str, tuple[Control, ...]]


class TargetNet(TransferNet, Protocol):
    """A net for one target, which also keeps the certificates that were seen."""

    @property
    def certs(self) -> Mapping[str, bytes]:
        """DER by SHA-256."""


class Session(Protocol):
    """The open door to the network."""

    @property
    def bytes_in(self) -> int:
        """Received so far."""

    @property
    def bytes_out(self) -> int:
        """Sent so far."""

    @property
    def roots(self) -> str | None:
        """Which roots trust is judged by."""

    @property
    def resolvers_dead(self) -> Sequence[str]:
        """Resolvers that did not answer."""

    def net(self, origin: float) -> TargetNet:
        """A net whose steps count from `origin`, a monotonic instant."""


class ControlSource(Protocol):
    """Where others' looks at the same targets come from. Never raises; knows nothing when alone."""

    @property
    def answered(self) -> bool:
        """A collector answered something, so this line is not dead."""

    async def controls(self, inputs: Sequence[str]) -> Controls:
        """What controls saw of these lately."""

    async def recheck(self, asks: Sequence[RecheckAsk]) -> Controls:
        """Ask controls to look now, and give what they saw."""


class RecordStore(Protocol):
    """Somewhere a finished record is kept: the spool, the results."""

    def keep(self, record: Record, line: bytes, /) -> None:
        """Keep it (`line` is it, encoded); raises `OSError` when the disk will not take it."""


@dataclass(frozen=True, slots=True)
class RunView:
    """What the facts of a line are computed from.

    Attributes:
        before, after: Looks at references before and after the sweep.
        records: Everything measured, without verdicts for what is still held back.
        clock_offset: Our clock minus true time by somebody trustworthy, or None.
    """

    before: Steps
    after: Steps
    records: Sequence[Record]
    clock_offset: float | None = None


@dataclass(frozen=True, slots=True)
class RunDependencies:
    """The tools of one run.

    Attributes:
        whereabouts: Our vantage as well as it is known by now; waits a moment at most.
        facts: From everything a run saw: the facts of the line, for one record of it.
        bulk: The bulk servers that collectors announce.
        comparing: What `throttle` is given when a page was slow; None when it may cost nothing.
        earlier: What earlier runs concluded, where that may confirm a judged record.
        describe: Facts of the run that the session knows (roots, dead resolvers), to fill in.
    """

    session: Callable[[], AbstractAsyncContextManager[Session]]
    experiments: Mapping[str, Experiment]
    anchors: tuple[Reference, ...]
    harmless: tuple[str, ...]
    whereabouts: Callable[[], Awaitable[Vantage]]
    desk: ControlSource
    facts: Callable[[RunView], Callable[[Record], Line]]
    judge: Callable[[Record], Verdict]
    scrub: Callable[[Record], Record]
    bulk: Callable[[], Awaitable[tuple[BulkReply, ...]]] | None = None
    comparing: Callable[[], Awaitable[Mapping[str, object] | None]] | None = None
    earlier: Callable[[Record], tuple[Earlier, ...]] = lambda _: ()
    collectors: tuple[tuple[str, int], ...] = ()
    describe: Callable[[Session, RunFacts], RunFacts] = lambda _, facts: facts
