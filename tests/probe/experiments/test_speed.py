import asyncio
from typing import cast

import pytest
from msgspec.structs import replace

from collector.throughput.identity import make_identity
from collector.throughput.server import start_bulk
from probe.analysis.line_speed import speed
from probe.api_types import BulkReply
from probe.experiments.interface import Net, Task
from probe.experiments.operations import TcpConnect
from probe.experiments.speed import EXPERIMENT
from probe.failure import Failure
from probe.judge import judge
from probe.model import Outcome, Record, Steps, Tcp, Transfer, Vantage, Verdict
from probe.net.transfer import transfer


class RealNet:
    """The two operations that this experiment uses, over real sockets."""

    transfer = staticmethod(transfer)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        address, port = connect.address, connect.port
        try:
            _, writer = await asyncio.open_connection(address, port)
        except ConnectionRefusedError:
            return Tcp(address=address, port=port, failure=Failure.REFUSED)
        writer.close()
        await writer.wait_closed()
        return Tcp(address=address, port=port)

    def safe(self, address: str) -> bool:
        return address != "10.0.0.1"


def run(*, reachable: bool) -> tuple[Steps, Verdict]:
    async def scenario() -> Steps:
        bulk = await start_bulk("127.0.0.1", 0, identity=make_identity())
        port, pin = bulk.port, bulk.spki_sha256
        if not reachable:
            await bulk.close()
        server = BulkReply(address="127.0.0.1", port=port, spki_sha256=pin)
        steps = await EXPERIMENT.measure(
            Task(url="", options={"bulk": (server,)}), cast("Net", RealNet())
        )
        await bulk.close()
        return steps

    steps = asyncio.run(scenario())
    return steps, judge(record(steps))


def record(steps: Steps) -> Record:
    return Record(
        id="1",
        run="2",
        experiment="speed",
        input="",
        started_at="2026-11-21T21:00:00.000Z",
        elapsed=1.0,
        vantage=Vantage(),
        steps=steps,
    )


def test_one_connection_down_and_one_up_grow_while_the_line_is_fast() -> None:
    steps, verdict = run(reachable=True)
    moved = [s for s in steps if isinstance(s, Transfer)]
    assert {s.direction for s in moved} == {"down", "up"}
    assert moved[0].asked_bytes == 256 * 1024
    # The largest of each way is the number: what is over in no time shows no more than a bound.
    largest = {s.direction: s for s in sorted(moved, key=lambda s: s.asked_bytes)}
    assert all((speed(s) or 0) > 1e6 for s in largest.values())
    assert verdict.outcome is Outcome.OK


def test_failure_gives_no_number_rather_than_zero() -> None:
    steps, verdict = run(reachable=False)
    assert [type(s) for s in steps] == [Tcp]  # and none of two long transfers
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("ended", ["stall", "eof", "reset", "error", "budget"])
def test_a_broken_transfer_has_no_speed(ended: str) -> None:
    step = Transfer(address="192.0.2.1", port=1, sni=None, arm="L", pair=1, rate=5.0)
    from msgspec.structs import replace

    assert speed(replace(step, ended=ended)) is None


def test_a_line_that_was_in_use_gives_no_number() -> None:
    steps, _ = run(reachable=True)
    moved = [s for s in steps if isinstance(s, Transfer)]
    assert all(one.other_bytes is None for one in moved)  # this machine itself
    busy = tuple(replace(one, other_bytes=one.wire_bytes) for one in moved)
    assert [speed(one) for one in busy] == [None] * len(busy)
    verdict = judge(record(busy))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "Other traffic" in verdict.rules[0].reason


def test_an_announced_private_address_is_not_dialled() -> None:
    server = BulkReply(address="10.0.0.1", port=443, spki_sha256="ab" * 32)
    task = Task(url="", options={"bulk": (server,)})

    async def story() -> Steps:
        return await EXPERIMENT.measure(task, cast("Net", RealNet()))

    assert asyncio.run(story()) == ()
