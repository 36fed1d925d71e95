"""How fast is this line? One connection down and one up, against a bulk server of ours.

It begins with a small object and goes on to a larger one only while the line transfers one in half
a second, so a slow line costs little. A failed measurement is no speed, and not a speed of zero.
The steps' `at` and `elapsed` show when the line was loaded, so that latency measured meanwhile can
be left out.
"""

from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.operations import TransferDirection
from probe.experiments.option import FLAG, whole
from probe.experiments.step_log import StepLog
from probe.experiments.throughput import (
    BULK,
    TransferPlan,
    TransferRunner,
    TransferServer,
    TransferTier,
    first_reachable,
    servers,
)
from probe.model import Steps

SIZES = (256 * 1024, 2 * 1024 * 1024, 8 * 1024 * 1024)
CAP = 6.0
# An object that is transferred sooner shows TCP's slow start, not the line, seconds.
ENOUGH = 0.5
NEUTRAL_NAME = "speed.example"
_DIRECTIONS: tuple[TransferDirection, ...] = ("down", "up")


async def measure(task: Task, net: Net) -> Steps:
    """Download, then upload."""
    runner = TransferRunner(task, net, StepLog())
    server = await first_reachable(runner, servers(task))
    if server is not None:
        for direction in _DIRECTIONS:
            await _one_way(runner, server, direction)
    return runner.log.steps


async def _one_way(
    runner: TransferRunner, server: TransferServer, direction: TransferDirection
) -> None:
    # The largest object, down and up, costs a day's quota.
    sizes = SIZES if runner.task.options.get("unmetered") is True else SIZES[:-1]
    for number, size in enumerate(sizes, 1):
        tier = TransferTier(size, CAP)
        step = await runner.run(
            TransferPlan("L", number, NEUTRAL_NAME, NEUTRAL_NAME, server, tier, direction)
        )
        if step.ended != "full" or not step.samples or step.samples[-1].at >= ENOUGH:
            return


EXPERIMENT = Experiment(
    "speed",
    1,
    measure,
    exclusive=True,
    once=True,
    given=frozenset({"bulk_servers", "daily_quota"}),
    takes={"daily_bytes": whole(0), "unmetered": FLAG, "bulk": BULK},
)
