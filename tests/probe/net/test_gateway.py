import asyncio
import socket
from pathlib import Path

import pytest

from probe.failure import Failure
from probe.net import gateway as module
from probe.net.gateway import default_gateway, gateway, neighbours

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
ARP = "IP address       HW type     Flags       HW address            Mask     Device\n"


def route(address: str, metric: int = 0, flags: str = "0003") -> str:
    number = int.from_bytes(socket.inet_aton(address), "little")
    return f"eth0 00000000 {number:08X} {flags} 0 0 {metric} 00000000 0 0 0\n"


def test_the_default_route_with_the_smallest_metric_is_the_gateway() -> None:
    table = HEAD + route("192.168.1.1", 600) + route("10.0.0.1", 100)
    assert default_gateway(table) == "10.0.0.1"
    assert default_gateway(HEAD) is None
    assert default_gateway(HEAD + "eth0 00000000 zz 0003 0 0 0 0 0 0 0\n") is None
    assert default_gateway(HEAD + route("10.0.0.1", flags="0001")) is None


def test_a_neighbour_with_a_known_hardware_address_is_present() -> None:
    complete = "192.168.1.1      0x1         0x2         aa:bb:cc:dd:ee:ff     *        eth0\n"
    incomplete = "192.168.1.2      0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    assert neighbours(ARP + complete + incomplete) == {"192.168.1.1"}


def test_a_router_that_refuses_is_present_and_its_address_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "route"
    table.write_text(HEAD + route("127.0.0.1"))
    monkeypatch.setattr(module, "ROUTES", table)
    monkeypatch.setattr(module, "PORTS", (1,))
    step = asyncio.run(gateway(origin=0.0))
    assert step is not None
    assert step.failure is None
    assert step.address is None


def test_a_timeout_without_a_hardware_address_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEIGHBOURS", tmp_path / "arp")
    failure = module._failure([Failure.TIMEOUT, Failure.TIMEOUT], "192.168.1.1")
    assert failure is Failure.TIMEOUT
    (tmp_path / "arp").write_text(ARP + "192.168.1.1 0x1 0x2 aa:bb:cc:dd:ee:ff * eth0\n")
    assert module._failure([Failure.TIMEOUT, Failure.TIMEOUT], "192.168.1.1") is None


def test_without_a_default_route_there_is_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROUTES", tmp_path / "none")
    assert asyncio.run(gateway(origin=0.0)) is None
