"""A fake net that can also talk: who answers is a set of (address, port)."""

import asyncio
from dataclasses import dataclass, field

from probe.experiments.interface import FRESH, Exchange, Experiment, Net, Task
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
    said: list[bytes] = field(default_factory=list)

    async def udp(
        self, address: str, port: int, talk: Exchange, *, limit: float | None = None
    ) -> Ping:
        return self._say(address, port, talk)

    async def talk(
        self, address: str, port: int, talk: Exchange, *, limit: float | None = None
    ) -> tuple[Tcp, Ping | None]:
        tcp = await self.tcp(address, port)
        return tcp, None if tcp.failure is not None else self._say(address, port, talk)

    def _say(self, address: str, port: int, talk: Exchange) -> Ping:
        at = self._tick(f"{talk.what} {address}:{port}{' behind' if talk.preface else ''}")
        message = talk.words(bytes(range(FRESH)), 1_800_000_000.0)
        self.said.append(message)
        silent = address in self.dead | self.mute
        silent = silent or (address in self.plain_mute and not talk.preface)
        return Ping(
            what=talk.what,
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
