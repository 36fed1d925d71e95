"""Gateway, VPN and proxy, from the files of the Linux kernel and the environment."""

from pathlib import Path

import pytest

from probe import host_network

ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
tun0 00000000 010200C0 0003 0 0 50 00000000 0 0 0
eth0 00000000 0100A8C0 0003 0 0 100 00000000 0 0 0
eth0 0000A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0
"""
NEIGHBOURS = """IP address HW type Flags HW address Mask Device
192.168.0.1 0x1 0x2 aa:bb:cc:dd:ee:ff * eth0
"""


def set_tables(
    monkeypatch: pytest.MonkeyPatch, folder: Path, routes: str, neighbours: str = NEIGHBOURS
) -> None:
    (folder / "route").write_text(routes)
    (folder / "arp").write_text(neighbours)
    monkeypatch.setattr(host_network, "ROUTES", folder / "route")
    monkeypatch.setattr(host_network, "_NEIGHBOURS", folder / "arp")


def test_the_default_route_with_the_lowest_metric_decides_on_vpn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_tables(monkeypatch, tmp_path, ROUTES)
    assert host_network.vpn() is True
    set_tables(monkeypatch, tmp_path, ROUTES.replace("tun0 00000000", "tun0 00000001"))
    assert host_network.vpn() is False


def test_networks_with_the_same_gateway_address_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_tunnel = ROUTES.replace("tun0 00000000", "tun0 00000001")
    set_tables(monkeypatch, tmp_path, no_tunnel)
    home = host_network.gateway(tmp_path)
    assert home == host_network.gateway(tmp_path)
    set_tables(monkeypatch, tmp_path, no_tunnel, NEIGHBOURS.replace("aa:", "ab:"))
    assert home is not None
    assert home != host_network.gateway(tmp_path)


def test_without_a_route_gateway_and_vpn_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_network, "ROUTES", tmp_path / "absent")
    assert host_network.gateway(tmp_path) is None
    assert host_network.vpn() is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"HTTPS_PROXY": "http://x"}, True), ({"all_proxy": "x"}, True), ({"PATH": "x"}, False)],
)
def test_a_proxy_is_detected(environ: dict[str, str], *, expected: bool) -> None:
    assert host_network.proxy(environ) is expected
