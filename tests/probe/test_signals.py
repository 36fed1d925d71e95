"""Being asked to stop, running out of time, and ending by oneself."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probe.signals import Stop, signals, until


async def work(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def test_what_ends_by_itself_is_not_cut() -> None:
    async def scenario() -> None:
        assert await until(asyncio.ensure_future(work(0.01)), Stop(), lambda: 5.0) is None

    asyncio.run(scenario())


def test_time_and_a_stop_cut() -> None:
    async def scenario() -> None:
        stop = Stop()
        task = asyncio.ensure_future(work(30))
        assert await until(task, stop, lambda: 0.0) == "time"
        assert task.cancelled()
        asyncio.get_running_loop().call_later(0.01, stop.ask)
        assert await until(asyncio.ensure_future(work(30)), stop, lambda: 5.0) == "interrupted"

    asyncio.run(scenario())


def test_time_may_shrink_while_it_runs() -> None:
    async def scenario() -> None:
        ends = [time.monotonic() + 30]
        asyncio.get_running_loop().call_later(0.05, lambda: ends.append(time.monotonic()))
        started = time.monotonic()
        cut = await until(
            asyncio.ensure_future(work(30)), Stop(), lambda: ends[-1] - time.monotonic()
        )
        assert cut == "time"
        assert time.monotonic() - started < 2.0

    asyncio.run(scenario())


def test_what_breaks_inside_is_raised() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            await until(asyncio.ensure_future(broken()), Stop(), lambda: 5.0)

    asyncio.run(scenario())


def test_waiting_ends_with_the_asking() -> None:
    async def scenario() -> None:
        stop = Stop()
        assert not await stop.wait(0.01)
        stop.ask()
        assert await stop.wait(30)

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_first_signal_asks() -> None:
    async def scenario() -> bool:
        stop = Stop()
        with signals(stop):
            os.kill(os.getpid(), signal.SIGTERM)
            return await stop.wait(5.0)

    before = signal.getsignal(signal.SIGTERM)
    assert asyncio.run(scenario())
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_second_signal_ends_the_program() -> None:
    code = (
        "import asyncio, time\n"
        "from probe.signals import Stop, signals\n"
        "async def go():\n"
        "    stop = Stop()\n"
        "    with signals(stop):\n"
        "        print('ready', flush=True)\n"
        "        await stop.wait()\n"
        "        print('asked', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(go())\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == "asked\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=5) == 128 + signal.SIGINT


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_asks_unless_it_is_to_be_outlived(*, ignored: bool) -> None:
    async def scenario() -> bool:
        stop = Stop()
        with signals(stop):
            os.kill(os.getpid(), signal.SIGHUP)
            return await stop.wait(0.2)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert asyncio.run(scenario()) is not ignored
    finally:
        signal.signal(signal.SIGHUP, before)
