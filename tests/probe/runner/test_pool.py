"""Jobs run concurrently, at most one on each host."""

import asyncio
from collections import Counter

import pytest

from probe.ordering import Job
from probe.runner.pool import Pool, SecondLooks, Slots


def jobs(*hosts: str) -> list[Job]:
    return [Job("web", f"https://{host}/{number}") for number, host in enumerate(hosts)]


def test_jobs_on_a_busy_host_are_postponed() -> None:
    busy: Counter[str] = Counter()
    most: Counter[str] = Counter()
    done: list[str] = []

    async def do(job: Job) -> None:
        busy[job.host] += 1
        most["all"] = max(most["all"], busy.total())
        most[job.host] = max(most[job.host], busy[job.host])
        await asyncio.sleep(0.005)
        busy[job.host] -= 1
        done.append(job.host)

    pool = Pool(jobs("a", "a", "a", "b", "c", "d"), do, enough=lambda: False)
    asyncio.run(pool.run(3))
    assert most["a"] == 1
    assert most["all"] == 3
    assert sorted(done) == ["a", "a", "a", "b", "c", "d"]
    assert not pool.waiting
    assert not pool.under_way


def test_when_it_is_enough_the_rest_is_not_begun() -> None:
    done: list[Job] = []

    async def do(job: Job) -> None:
        done.append(job)

    pool = Pool(jobs("a", "b", "c", "d"), do, enough=lambda: len(done) >= 2)
    asyncio.run(pool.run(1))
    assert len(done) == len(pool.waiting) == 2


def test_cancelled_jobs_are_listed() -> None:
    async def scenario() -> Pool:
        last_began = asyncio.Event()

        async def do(job: Job) -> None:
            if job.host == "c":
                last_began.set()
            await asyncio.sleep(0 if job.host == "a" else 30)

        pool = Pool(jobs("a", "b", "c", "b"), do, enough=lambda: False)
        running = asyncio.create_task(pool.run(2))
        await asyncio.wait_for(last_began.wait(), 20)
        running.cancel()
        await asyncio.wait((running,))
        return pool

    pool = asyncio.run(scenario())
    assert [job.host for job in pool.under_way] == ["b", "c"]
    assert [job.host for job in pool.waiting] == ["b"]


def test_a_job_that_only_compares_gives_its_slot_to_another() -> None:
    async def scenario() -> None:
        slots = Slots(2)
        begun: list[str] = []
        answered = asyncio.Event()

        async def do(job: Job) -> None:
            begun.append(job.host)
            slots.leave(job)
            await answered.wait()

        pool = Pool(jobs(*"abcdefga"), do, enough=lambda: False, slots=slots)
        running = asyncio.create_task(pool.run(2))
        for _ in range(60):
            await asyncio.sleep(0)
        assert begun == [*"abcdef"]  # four may go on beside the two that have slots
        answered.set()
        await running
        assert begun == [*"abcdefga"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("at_once", "patience", "most"), [(2, 0.0, 6), (2, None, 2), (1, 0.0, 1)])
def test_a_job_that_takes_long_gives_its_slot_to_another(
    at_once: int, patience: float | None, most: int
) -> None:
    async def scenario() -> None:
        begun: list[str] = []
        answered = asyncio.Event()

        async def do(job: Job) -> None:
            begun.append(job.host)
            await answered.wait()

        slots = Slots(at_once, patience=patience)
        pool = Pool(jobs(*"abcdefgh"), do, enough=lambda: False, slots=slots)
        running = asyncio.create_task(pool.run(at_once))
        for _ in range(100):
            await asyncio.sleep(0)
        assert begun == [*"abcdefgh"][:most]
        answered.set()
        await running

    asyncio.run(scenario())


def test_where_every_job_takes_long_none_gives_up_its_slot() -> None:
    async def scenario() -> float:
        slots = Slots(8, patience=0.001)

        async def do(_: Job) -> None:
            await asyncio.sleep(0.02)

        await Pool(jobs(*"abcdefgh"), do, enough=lambda: False, slots=slots).run(8)
        await slots.take()
        slots.begin(job := jobs("i")[0])
        timer = slots._holders[job]
        assert timer is not None
        return timer.when() - slots._began[job]

    assert asyncio.run(scenario()) > 0.03


def test_second_looks_and_the_last_first_looks_tell_nothing_of_how_long_a_job_takes() -> None:
    async def scenario() -> float:
        slots = Slots(16, patience=0.001)
        waiting = True
        slots.first_waiting = lambda: waiting
        for job in jobs(*"abcdefgh"):
            await slots.take()
            slots.begin(job)
            slots.end(job)
        usual = slots._usual
        waiting = False
        for job, first in zip(jobs(*"abcdefgh"), [True, False] * 4, strict=True):
            await slots.take()
            slots.begin(job)
            await asyncio.sleep(0.02)
            slots.end(job, first=first)
        assert usual < 0.01
        return slots._usual - usual

    assert asyncio.run(scenario()) == 0


def test_each_slot_is_free_again_whether_jobs_left_theirs_or_not() -> None:
    async def scenario() -> int:
        slots = Slots(2)

        async def do(job: Job) -> None:
            if job.host in "ac":
                slots.leave(job)
                slots.leave(job)
            await asyncio.sleep(0)

        await Pool(jobs(*"abcdef"), do, enough=lambda: False, slots=slots).run(2)
        free = 0
        while not slots._free.locked():
            await slots.take()
            free += 1
        return free

    assert asyncio.run(scenario()) == 2


class Looks:
    """Second looks over a clock that tests move, with the order in which they began."""

    def __init__(self, slots: Slots, *, most: int = 2) -> None:
        self.now = 0.0
        self.comparable = True
        self.begun: list[str] = []
        self.release = asyncio.Event()
        self.pool = SecondLooks(
            self._look,
            slots,
            most=most,
            enough=lambda: False,
            may_begin=lambda _: self.comparable,
            clock=lambda: self.now,
        )

    async def _look(self, job: Job) -> None:
        self.begun.append(job.host)
        await self.release.wait()

    async def settled(self) -> None:
        """Let everything run that may."""
        self.pool._slots.change()
        for _ in range(20):
            await asyncio.sleep(0)


def test_a_second_look_begins_some_time_after_the_first_and_not_without_a_comparison() -> None:
    async def scenario() -> None:
        looks = Looks(Slots(4))
        running = asyncio.create_task(looks.pool.run())
        looks.pool.add(jobs("a")[0], after=3.0, length=1.0)
        looks.comparable = False
        await looks.settled()
        looks.now = 3.0
        await looks.settled()
        assert looks.begun == []
        looks.comparable = True
        await looks.settled()
        assert looks.begun == ["a"]
        looks.release.set()
        looks.pool.close()
        await running

    asyncio.run(scenario())


def test_what_will_take_long_is_looked_at_again_first() -> None:
    async def scenario() -> list[str]:
        looks = Looks(Slots(4))
        for length, job in enumerate(jobs("a", "b", "c")):
            looks.pool.add(job, after=0.0, length=length)
        looks.pool.close()
        running = asyncio.create_task(looks.pool.run())
        await looks.settled()
        assert looks.begun == ["c", "b"]  # two at a time
        looks.release.set()
        await running
        return looks.begun

    assert asyncio.run(scenario()) == ["c", "b", "a"]


def test_first_and_second_looks_share_the_slots_and_the_hosts() -> None:
    async def scenario() -> None:
        slots = Slots(2)
        looks = Looks(slots, most=2)
        first: list[str] = []

        async def look(job: Job) -> None:
            first.append(job.host)
            await looks.release.wait()

        pool = Pool(jobs("a", "b"), look, enough=lambda: False, slots=slots)
        sweeping = asyncio.create_task(pool.run(2))
        await looks.settled()
        again = asyncio.create_task(looks.pool.run())
        looks.pool.add(jobs("a")[0], after=0.0, length=1.0)
        looks.pool.close()
        await looks.settled()
        assert first == ["a", "b"]
        assert looks.begun == []
        looks.release.set()
        await asyncio.gather(sweeping, again)
        assert looks.begun == ["a"]

    asyncio.run(scenario())


def test_while_first_looks_wait_second_looks_take_few_slots() -> None:
    async def scenario() -> None:
        slots = Slots(16)
        looks = Looks(slots, most=16)
        for job in jobs(*"abcdefgh"):
            looks.pool.add(job, after=0.0, length=1.0)
        looks.pool.close()
        waiting = True
        slots.first_waiting = lambda: waiting
        running = asyncio.create_task(looks.pool.run())
        await looks.settled()
        assert len(looks.begun) == 2
        waiting = False
        await looks.settled()
        assert len(looks.begun) == 8
        looks.release.set()
        await running

    asyncio.run(scenario())
