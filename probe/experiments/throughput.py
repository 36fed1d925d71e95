"""What the throughput experiments share: servers, tiers, the quota, one transfer at a time."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, cast

from msgspec import Struct, field
from msgspec.structs import replace

from probe.api_types import BulkReply
from probe.experiments.interface import Net, Task, TransferNet
from probe.experiments.operations import (
    TcpConnect,
    TransferDialogue,
    TransferDirection,
    TransferRequest,
)
from probe.experiments.option import Option
from probe.experiments.step_log import StepLog
from probe.model import Role, Transfer
from probe.ordering import keyed

Arm = Literal["A", "B", "C", "D", "E", "F", "L"]
# A server that was out of reach this often in a row is given up: once may be a moment of loss.
STRIKES = 2
# Handshake, headers and retransmissions of one transfer, besides its object, bytes.
OVERHEAD = 12_000
ROLES: Mapping[Arm, Role] = {
    "A": Role.NEUTRAL,
    "B": Role.NEUTRAL,
    "C": Role.TARGET,
    "D": Role.HARMLESS,
    "E": Role.NEUTRAL,
    "F": Role.NEUTRAL,
    "L": Role.NEUTRAL,
}


class TransferTier(Struct, frozen=True):
    """How much one transfer may cost; it can show limits up to about 8/3 of `size` bit/s.

    For `hold` seconds next to nothing is read, so that a limit that begins later shows as well.
    """

    size: int
    cap: float
    hold: float = 0.0


TIERS: Mapping[str, TransferTier] = {
    "metered": TransferTier(64 * 1024, 6.0),
    "normal": TransferTier(256 * 1024, 6.0),
    "deep": TransferTier(1024 * 1024, 10.0),
}
# Half of it is beyond 300 KB, and all but its first packets beyond 3 s of the connection.
LATE = TransferTier(640 * 1024, 10.0, 4.0)
# The profiles `quick` and `watch` are those of a phone's data plan.
_BY_PROFILE = {"quick": "metered", "watch": "metered", "full": "normal"}


class TransferQuota(Protocol):
    """The day's byte quota (`probe.runner.daily_quota.DailyQuota`)."""

    def affords(self, size: int, *, beside: float = 0.0) -> bool:
        """Whether a transfer of this many bytes may begin, which leaves this share of the day's."""

    def spend(self, size: int) -> None:
        """Note what a transfer really cost."""


class ServerHealth(Struct):
    """Which bulk servers were reached in this run: a dead one must not cost every target."""

    _misses: dict[tuple[str, int], int] = field(default_factory=dict)

    def answers(self, address: str, port: int) -> bool:
        """It was reached at the last attempt, so a connection need not be tried first."""
        return self._misses.get((address, port)) == 0

    def given_up(self, address: str, port: int) -> bool:
        """It was out of reach too often in a row."""
        return self._misses.get((address, port), 0) >= STRIKES

    def note(self, address: str, port: int, *, reached: bool) -> None:
        """Record the result of one attempt."""
        before = self._misses.get((address, port), 0)
        self._misses[address, port] = 0 if reached else before + 1


class TransferServer(Struct, frozen=True):
    """The far end of a transfer, and what is requested there; `path` None: an object by size."""

    address: str
    port: int
    path: str | None = None
    pin: str | None = None


class TransferPlan(Struct, frozen=True):
    """One transfer to make."""

    arm: Arm
    pair: int
    sni: str | None
    host: str
    server: TransferServer
    tier: TransferTier
    direction: TransferDirection = "down"
    dialogue: TransferDialogue | None = None


class TransferRunner:
    """Makes transfers for one record, within the quota."""

    def __init__(self, task: Task, net: Net, log: StepLog) -> None:
        self.task = task
        self.net = cast("TransferNet", net)  # every real net is one; only fakes for pages are less
        self.log = log
        self._quota = cast("TransferQuota | None", task.options.get("budget"))
        health = task.options.get("standing")
        self.health = health if isinstance(health, ServerHealth) else ServerHealth()

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """Every transfer of this record so far."""
        return tuple(step for step in self.log.steps if isinstance(step, Transfer))

    def affords(self, tier: TransferTier, count: int, *, beside: float) -> bool:
        """Whether so many transfers leave this share of the day's quota; without one, never."""
        size = count * (tier.size + OVERHEAD)
        return self._quota is not None and self._quota.affords(size, beside=beside)

    async def run(self, plan: TransferPlan) -> Transfer:
        """Make one transfer, or record that the quota does not allow it."""
        server, size = plan.server, plan.tier.size
        if self._quota is not None and not self._quota.affords(size + OVERHEAD):
            step = Transfer(
                address=server.address,
                port=server.port,
                sni=plan.sni,
                arm=plan.arm,
                pair=plan.pair,
                direction=plan.direction,
                host=plan.host,
                protocol="http" if plan.dialogue is None else plan.dialogue.protocol,
                asked_bytes=size,
                ended="budget",
            )
        else:
            request = TransferRequest(
                server.address,
                server.port,
                plan.sni,
                size,
                path=server.path or f"/{size}",
                host=plan.host,
                pin=server.pin,
                cap=plan.tier.cap,
                hold=plan.tier.hold,
                direction=plan.direction,
                dialogue=plan.dialogue,
            )
            step = await self.net.transfer(request)
            if self._quota is not None:
                self._quota.spend(step.wire_bytes)
        added = replace(step, arm=plan.arm, pair=plan.pair)
        return self.log.add(added, role=ROLES[plan.arm], try_=max(plan.pair, 1))


def tier_of(task: Task) -> TransferTier:
    """The tier that was configured, or the profile's own."""
    name = str(task.options.get("tier", "")) or _BY_PROFILE.get(task.profile, "normal")
    return TIERS.get(name, TIERS["normal"])


def servers(task: Task) -> tuple[BulkReply, ...]:
    """Bulk servers, in turn: those that collectors announced and those in the configuration.

    In the configuration a server is `ADDRESS:PORT#HEX`, the hex being the SHA-256 of its key.
    """
    given = task.options.get("bulk")
    if isinstance(given, str):
        given = (given,)
    if not isinstance(given, Sequence):
        return ()
    parsed = (one if isinstance(one, BulkReply) else _parse(str(one)) for one in given)
    known = [one for one in parsed if one is not None]
    first = keyed(task.seed, "bulk server", task.url) % len(known) if known else 0
    return (*known[first:], *known[:first])


async def first_reachable(
    runner: TransferRunner, known: Sequence[BulkReply]
) -> TransferServer | None:
    """The first of the servers that accepts a connection.

    A transfer waits long for its connection, so one that was not reached yet is tried first. Only
    public addresses: an announced server must not lead into the user's own network.
    """
    for one in known:
        if runner.net.safe(one.address) and await _is_reachable(runner, one):
            return TransferServer(one.address, one.port, pin=one.spki_sha256)
    return None


async def _is_reachable(runner: TransferRunner, server: BulkReply) -> bool:
    address, port = server.address, server.port
    if runner.health.given_up(address, port):
        return False
    if not runner.health.answers(address, port):
        connect = await runner.net.tcp(TcpConnect(address, port))
        if runner.log.add(connect, role=Role.NEUTRAL).failure is not None:
            runner.health.note(address, port, reached=False)
            return False
    return True


def _parse(text: str) -> BulkReply | None:
    endpoint, _, pin = text.partition("#")
    address, _, port = endpoint.rpartition(":")
    address = address.strip("[]")
    if not address or not port.isdecimal() or len(pin) != 64:
        return None
    return BulkReply(address=address, port=int(port), spki_sha256=pin)


def _are_servers(value: object) -> bool:
    every = [value] if isinstance(value, str) else value
    if not isinstance(every, list):
        return False
    return all(isinstance(one, str) and _parse(one) is not None for one in every)


BULK = Option("ADDRESS:PORT#SHA256 of a bulk server, or a list of them", _are_servers)
