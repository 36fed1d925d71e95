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
from tests.probe.stage import SYSTEM, Stage


async def spend(limit: int, each: int, abreast: int) -> tuple[int, int]:
    used = 0
    refused = 0
    allowance = ByteBudget(limit, lambda: used)

    async def one() -> None:
        nonlocal used, refused
        try:
            async with allowance.room(HTTP_BYTES):
                await asyncio.sleep(0.001)
                used += each
        except BytesSpent:
            refused += 1

    await asyncio.gather(*(one() for _ in range(abreast)))
    return used, refused


@pytest.mark.parametrize("each", [10, 1_000, 300_000])
@pytest.mark.parametrize("limit", [1, 50_000, 1_000_000])
def test_the_last_exchange_is_the_only_one_over(limit: int, each: int) -> None:
    used, refused = asyncio.run(spend(limit, each, 40))
    assert used <= limit + each
    assert used == each * (40 - refused)


def test_a_large_budget_hinders_nobody() -> None:
    assert asyncio.run(spend(10**12, 1000, 40)) == (40_000, 0)


def test_a_cancelled_exchange_gives_its_room_back() -> None:
    async def story() -> None:
        allowance = ByteBudget(100, lambda: 0)

        async def hold() -> None:
            async with allowance.room(80):
                await asyncio.sleep(30)

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiter = asyncio.create_task(hold())
        await asyncio.sleep(0)
        assert allowance._reserved == 80
        holder.cancel()
        await asyncio.wait((holder,), timeout=1)
        await asyncio.sleep(0.01)
        assert (allowance._flying, allowance._reserved) == (1, 80)
        waiter.cancel()
        await asyncio.gather(holder, waiter, return_exceptions=True)
        assert (allowance._flying, allowance._reserved) == (0, 0)

    asyncio.run(story())


def test_every_exchange_of_a_net_is_counted() -> None:
    async def story() -> None:
        net = BudgetedNet(Stage().net(0.0), ByteBudget(0, lambda: 0))
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

    asyncio.run(story())


def test_what_was_begun_together_ends_with_the_allowance_and_not_as_a_bug() -> None:
    async def story(*names: str) -> None:
        net = BudgetedNet(Stage().net(0.0), ByteBudget(1, lambda: 2))
        await net.together([net.dns(DnsQuery(name, SYSTEM)) for name in names])

    with pytest.raises(BytesSpent):
        asyncio.run(story("a.example", "b.example", "c.example"))
