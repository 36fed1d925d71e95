"""One authority for all, and a way to look at something in a laboratory's session."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

import pytest

from probe.net.session import NetSession, SessionSettings
from probe.net.target_net import SocketNet
from tests.probe.net.servers import Authority

T = TypeVar("T")


class Measure(Protocol):
    """Run one ask in a session of its own."""

    def __call__(
        self, ask: Callable[[SocketNet], Awaitable[T]], settings: SessionSettings | None = None
    ) -> T: ...


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def lab(authority: Authority, tmp_path: Path) -> SessionSettings:
    return SessionSettings(
        lab=True, ca_file=authority.write(tmp_path), resolver=("127.0.0.1", 1), ipv6=False
    )


@pytest.fixture
def measure(lab: SessionSettings) -> Measure:
    def run(ask: Callable[[SocketNet], Awaitable[T]], settings: SessionSettings | None = None) -> T:
        async def inside() -> T:
            async with NetSession(settings or lab) as session:
                return await ask(session.net(monotonic()))

        return asyncio.run(inside())

    return run
