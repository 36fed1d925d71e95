"""A byte budget is exceeded by one exchange at most."""

import asyncio

import pytest

from probe.experiments.operations import (
    DnsQuery,
    HttpRequest,
    QuicHandshake,
    TcpConnect,
    TlsHandshake,
    TransferRequest,
)
from probe.runner.byte_budget import HTTP_BYTES, BudgetedNet, ByteBudget, BytesSpent
from tests.probe.fake_run import SYSTEM, FakeSession


async def spend(limit: int, each: int, concurrency: int) -> tuple[int, int]:
    used = 0
    refused = 0
    budget = ByteBudget(limit, lambda: used)

    async def one() -> None:
        nonlocal used, refused
        try:
            async with budget.reserve(HTTP_BYTES):
                await asyncio.sleep(0.001)
                used += each
        except BytesSpent:
            refused += 1

    await asyncio.gather(*(one() for _ in range(concurrency)))
    return used, refused


@pytest.mark.parametrize("each", [10, 1_000, 300_000])
@pytest.mark.parametrize("limit", [1, 50_000, 1_000_000])
def test_only_the_last_operation_exceeds_the_budget(limit: int, each: int) -> None:
    used, refused = asyncio.run(spend(limit, each, 40))
    assert used <= limit + each
    assert used == each * (40 - refused)


def test_a_large_budget_delays_nothing() -> None:
    assert asyncio.run(spend(10**12, 1000, 40)) == (40_000, 0)


def test_a_cancelled_operation_releases_its_reservation() -> None:
    async def scenario() -> None:
        budget = ByteBudget(100, lambda: 0)

        async def hold() -> None:
            async with budget.reserve(80):
                await asyncio.sleep(30)

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiter = asyncio.create_task(hold())
        await asyncio.sleep(0)
        assert budget._reserved == 80
        holder.cancel()
        await asyncio.wait((holder,), timeout=1)
        await asyncio.sleep(0.01)
        assert (budget._running, budget._reserved) == (1, 80)
        waiter.cancel()
        await asyncio.gather(holder, waiter, return_exceptions=True)
        assert (budget._running, budget._reserved) == (0, 0)

    asyncio.run(scenario())


def test_every_operation_of_a_net_is_counted() -> None:
    async def scenario() -> None:
        net = BudgetedNet(FakeSession().net(0.0), ByteBudget(0, lambda: 0))
        with pytest.raises(BytesSpent):
            await net.dns(DnsQuery("a.example", SYSTEM))
        with pytest.raises(BytesSpent):
            await net.tcp(TcpConnect("192.0.2.1", 443))
        with pytest.raises(BytesSpent):
            await net.tls(TlsHandshake("192.0.2.1", 443, None))
        with pytest.raises(BytesSpent):
            await net.http(HttpRequest("https://a.example/", "192.0.2.1"))
        with pytest.raises(BytesSpent):
            await net.quic(QuicHandshake("192.0.2.1", 443, None))
        request = TransferRequest("192.0.2.1", 443, None, 1, path="/", host="a", cap=1.0)
        with pytest.raises(BytesSpent):
            await net.transfer(request)

    asyncio.run(scenario())


def test_concurrent_operations_end_with_the_budget_and_not_as_a_bug() -> None:
    async def scenario(*names: str) -> None:
        net = BudgetedNet(FakeSession().net(0.0), ByteBudget(1, lambda: 2))
        await net.together([net.dns(DnsQuery(name, SYSTEM)) for name in names])

    with pytest.raises(BytesSpent):
        asyncio.run(scenario("a.example", "b.example", "c.example"))
