"""How fast is this line? One connection down and one up, against a bulk server of ours.

It begins small and grows only while the line swallows an object in half a second, so a slow line
costs little. What fails gives no number: a failed measurement is not a speed of zero. Its steps say
when it loaded the line (`at`, `elapsed`), so that latency taken meanwhile can be left out.
"""

from typing import Literal

from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.option import FLAG, whole
from probe.experiments.step_log import StepLog
from probe.experiments.throughput import BULK, Look, Peer, Tier, TransferRunner, answering, servers
from probe.model import Steps, Transfer

SIZES = (256 * 1024, 2 * 1024 * 1024, 8 * 1024 * 1024)
CAP = 6.0
# An object that is through sooner has shown the start of TCP, not the line.
ENOUGH = 0.5
NEUTRAL_NAME = "speed.example"
_DIRECTIONS: tuple[Literal["down", "up"], ...] = ("down", "up")


async def measure(task: Task, net: Net) -> Steps:
    """Download, then upload."""
    mover = TransferRunner(task, net, StepLog())
    peer = await answering(mover, servers(task))
    if peer is not None:
        for direction in _DIRECTIONS:
            await _one_way(mover, peer, direction)
    return mover.trail.steps


async def _one_way(mover: TransferRunner, peer: Peer, direction: Literal["down", "up"]) -> None:
    for number, size in enumerate(_sizes(mover.task), 1):
        look = Look("L", number, NEUTRAL_NAME, NEUTRAL_NAME, peer, Tier(size, CAP), direction)
        if not _too_quick(await mover.move(look)):
            return


def _sizes(task: Task) -> tuple[int, ...]:
    """The largest object only where bytes are not counted: down and up it costs a day's budget."""
    return SIZES if task.options.get("unmetered") is True else SIZES[:-1]


def _too_quick(step: Transfer) -> bool:
    return step.ended == "full" and bool(step.samples) and step.samples[-1].at < ENOUGH


EXPERIMENT = Experiment(
    "speed",
    1,
    measure,
    exclusive=True,
    once=True,
    given=frozenset({"bulk_servers", "daily_quota"}),
    takes={"daily_bytes": whole(0), "unmetered": FLAG, "bulk": BULK},
)
