"""What the throughput experiments share: servers, tiers, the budget, one transfer at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

from msgspec.structs import replace

from probe.api_types import BulkReply
from probe.experiments.interface import Net, Task, TransferNet
from probe.experiments.operations import TcpConnect, TransferRequest
from probe.experiments.option import Option
from probe.experiments.step_log import StepLog
from probe.model import Role, Transfer
from probe.ordering import keyed

Arm = Literal["A", "B", "C", "D", "L"]
# So often in a row a server may be out of reach before it is left alone: once is a bad moment.
STRIKES = 2
# Handshake, headers and retransmissions of one transfer, besides its object.
OVERHEAD = 12_000
ROLES: Mapping[Arm, Role] = {
    "A": Role.NEUTRAL,
    "B": Role.NEUTRAL,
    "C": Role.TARGET,
    "D": Role.HARMLESS,
    "L": Role.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class Tier:
    """How much one transfer may cost, which is how fast a limit it can see: about 8S/3 bit/s."""

    size: int
    cap: float


TIERS: Mapping[str, Tier] = {
    "metered": Tier(64 * 1024, 6.0),
    "normal": Tier(256 * 1024, 6.0),
    "deep": Tier(1024 * 1024, 10.0),
}
# A quick or repeated watch is what runs on a phone's data plan.
_BY_PROFILE = {"quick": "metered", "watch": "metered", "full": "normal"}


class Purse(Protocol):
    """The day's byte budget (`probe.runner.budget.Purse`)."""

    def affords(self, size: int) -> bool:
        """Whether so much may be begun."""

    def spend(self, size: int) -> None:
        """Note what something really cost."""


@dataclass(slots=True)
class ServerHealth:
    """How the bulk servers have done in this run, so that a dead one does not cost every target."""

    _misses: dict[tuple[str, int], int] = field(default_factory=dict)

    def answers(self, address: str, port: int) -> bool:
        """It was reached when it was last tried, so nobody need look first."""
        return self._misses.get((address, port)) == 0

    def given_up(self, address: str, port: int) -> bool:
        """It was out of reach too often in a row."""
        return self._misses.get((address, port), 0) >= STRIKES

    def note(self, address: str, port: int, *, reached: bool) -> None:
        """Take note of how one try went."""
        before = self._misses.get((address, port), 0)
        self._misses[address, port] = 0 if reached else before + 1


@dataclass(frozen=True, slots=True)
class Peer:
    """The far end of a transfer, and what is asked of it there."""

    address: str
    port: int
    path: str | None = None
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One transfer to make."""

    arm: Arm
    pair: int
    sni: str | None
    host: str
    peer: Peer
    tier: Tier
    direction: Literal["down", "up"] = "down"


class TransferRunner:
    """Makes transfers for one record, within the budget."""

    def __init__(self, task: Task, net: Net, trail: StepLog) -> None:
        self.task = task
        self.net = cast("TransferNet", net)  # every real net is one; only fakes for pages are less
        self.trail = trail
        self.purse = cast("Purse | None", task.options.get("budget"))
        standing = task.options.get("standing")
        self.standing = standing if isinstance(standing, ServerHealth) else ServerHealth()

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """Every transfer of this record so far."""
        return tuple(step for step in self.trail.steps if isinstance(step, Transfer))

    async def move(self, look: Look) -> Transfer:
        """Make one transfer, or note that the budget does not allow it."""
        if self.purse is not None and not self.purse.affords(look.tier.size + OVERHEAD):
            return self._note(look, _unaffordable(look))
        peer = look.peer
        request = TransferRequest(
            peer.address,
            peer.port,
            look.sni,
            look.tier.size,
            path=peer.path or f"/{look.tier.size}",
            host=look.host,
            pin=peer.pin,
            cap=look.tier.cap,
            direction=look.direction,
        )
        step = await self.net.transfer(request)
        if self.purse is not None:
            self.purse.spend(step.wire_bytes)
        return self._note(look, step)

    def _note(self, look: Look, step: Transfer) -> Transfer:
        placed = replace(step, arm=look.arm, pair=look.pair)
        return self.trail.add(placed, role=ROLES[look.arm], try_=max(look.pair, 1))


def _unaffordable(look: Look) -> Transfer:
    return Transfer(
        address=look.peer.address,
        port=look.peer.port,
        sni=look.sni,
        arm=look.arm,
        pair=look.pair,
        direction=look.direction,
        host=look.host,
        asked_bytes=look.tier.size,
        ended="budget",
    )


def tier_of(task: Task) -> Tier:
    """The tier that was configured, or the profile's own."""
    name = str(task.options.get("tier", "")) or _BY_PROFILE.get(task.profile, "normal")
    return TIERS.get(name, TIERS["normal"])


def servers(task: Task) -> tuple[BulkReply, ...]:
    """Bulk servers, in turn: what collectors announced and what the configuration names.

    In the configuration a server is `ADDRESS:PORT#HEX`, the hex being the SHA-256 of its key.
    """
    given = task.options.get("bulk")
    if isinstance(given, str):
        given = (given,)
    if not isinstance(given, Sequence):
        return ()
    parsed = (one if isinstance(one, BulkReply) else _server(str(one)) for one in given)
    known = [one for one in parsed if one is not None]
    first = keyed(task.seed, "bulk server", task.url) % len(known) if known else 0
    return (*known[first:], *known[:first])


async def answering(mover: TransferRunner, known: Sequence[BulkReply]) -> Peer | None:
    """The first of the servers that takes a connection.

    A transfer waits long for its connection, so one that nobody has reached yet is looked at first.
    Whoever announced them, they are no way into the volunteer's own network.
    """
    for one in known:
        if mover.net.safe(one.address) and await _reached(mover, one):
            return Peer(one.address, one.port, pin=one.spki_sha256)
    return None


async def _reached(mover: TransferRunner, server: BulkReply) -> bool:
    address, port = server.address, server.port
    if mover.standing.given_up(address, port):
        return False
    if not mover.standing.answers(address, port):
        step = mover.trail.add(await mover.net.tcp(TcpConnect(address, port)), role=Role.NEUTRAL)
        if step.failure is not None:
            mover.standing.note(address, port, reached=False)
            return False
    return True


def _server(text: str) -> BulkReply | None:
    place, _, pin = text.partition("#")
    address, _, port = place.rpartition(":")
    address = address.strip("[]")
    if not address or not port.isdecimal() or len(pin) != 64:
        return None
    return BulkReply(address=address, port=int(port), spki_sha256=pin)


def _are_servers(value: object) -> bool:
    places = [value] if isinstance(value, str) else value
    if not isinstance(places, list):
        return False
    return all(isinstance(one, str) and _server(one) is not None for one in places)


BULK = Option("ADDRESS:PORT#SHA256 of a bulk server, or a list of them", _are_servers)
