"""A certificate authority for all tests, and a way to run operations in a lab session."""

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
    """Run operations in a session of their own."""

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
