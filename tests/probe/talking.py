"""A fake net that can also talk: who answers is a set of (address, port)."""

import asyncio
from dataclasses import dataclass, field

from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.operations import FRESH_BYTES, Exchange, TcpConnect
from probe.failure import Failure
from probe.model import Ping, Steps, Tcp
from tests.fake_net import FakeNet


@dataclass
class TalkingNet(FakeNet):
    """Answers talks at every address that is not dead or mute.

    Attributes:
        mute: Addresses that take a connection, or a datagram, and say nothing.
        plain_mute: Addresses that answer only what comes behind a preface.
    """

    mute: set[str] = field(default_factory=set)
    plain_mute: set[str] = field(default_factory=set)
    sent: list[bytes] = field(default_factory=list)

    async def exchange_udp(self, exchange: Exchange) -> Ping:
        return self._exchange(exchange)

    async def exchange_tcp(self, exchange: Exchange) -> tuple[Tcp, Ping | None]:
        tcp = await self.tcp(TcpConnect(exchange.address, exchange.port))
        return tcp, None if tcp.failure is not None else self._exchange(exchange)

    def _exchange(self, exchange: Exchange) -> Ping:
        address, port, chosen = exchange.address, exchange.port, exchange.message
        behind = " behind" if chosen.preface else ""
        at = self._tick(f"{chosen.protocol} {address}:{port}{behind}")
        message = chosen.build(bytes(range(FRESH_BYTES)), 1_800_000_000.0)
        self.sent.append(message)
        silent = address in self.dead | self.mute
        silent = silent or (address in self.plain_mute and not chosen.preface)
        return Ping(
            what=chosen.protocol,
            address=address,
            port=port,
            at=at,
            failure=Failure.TIMEOUT if silent else None,
            bytes_out=len(message),
            bytes_in=0 if silent else 50,
        )


def first(experiment: Experiment, task: Task, net: Net) -> Steps:
    """The first look."""

    async def look() -> Steps:
        return await experiment.measure(task, net)

    return asyncio.run(look())


def both(experiment: Experiment, task: Task, net: Net) -> Steps:
    """Both looks, whether the second is wanted or not."""

    async def look() -> Steps:
        assert experiment.confirm is not None
        return await experiment.confirm(task, net, await experiment.measure(task, net))

    return asyncio.run(look())
