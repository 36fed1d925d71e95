"""Jobs run concurrently, at most one on each host."""

import asyncio
from collections import Counter

from probe.ordering import Job
from probe.runner.pool import Pool


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
    async def do(job: Job) -> None:
        await asyncio.sleep(0 if job.host == "a" else 30)

    async def scenario() -> Pool:
        pool = Pool(jobs("a", "b", "c", "b"), do, enough=lambda: False)
        running = asyncio.create_task(pool.run(2))
        await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait((running,))
        return pool

    pool = asyncio.run(scenario())
    assert [job.host for job in pool.under_way] == ["b", "c"]
    assert [job.host for job in pool.waiting] == ["b"]
