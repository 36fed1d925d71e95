"""Captured configurations of three systems, read as their owners meant them."""

import socket
import sys
from pathlib import Path

import pytest

from probe.net import resolvers
from probe.net.resolvers import from_lines, from_resolv_conf, from_scutil, system_resolvers
from probe.net.stream import socket_address

STUB = """\
# This is /run/systemd/resolve/stub-resolv.conf managed by man:systemd-resolved(8).
nameserver 127.0.0.53
options edns0 trust-ad
search lan
"""
SCUTIL = """\
DNS configuration

resolver #1
  search domain[0] : lan
  nameserver[0] : 192.168.1.1
  nameserver[1] : fe80::1%en0
  if_index : 6 (en0)
  flags    : Request A records, Request AAAA records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)

resolver #2
  domain   : local
  options  : mdns
  timeout  : 5

DNS configuration (for scoped queries)

resolver #1
  nameserver[0] : 10.8.0.1
  if_index : 6 (en0)
"""
SPLIT_TUNNEL = """\
DNS configuration

resolver #1
  domain   : office.example
  nameserver[0] : 10.8.0.1

resolver #2
  nameserver[0] : 192.168.1.1

DNS configuration (for scoped queries)
"""


def test_a_plain_resolv_conf() -> None:
    text = "nameserver 192.168.0.1\n\tnameserver\t2001:db8::53 # home\n#nameserver 9.9.9.9\n"
    assert from_resolv_conf(text) == (("192.168.0.1", 53), ("2001:db8::53", 53))


def test_a_scope_is_kept() -> None:
    assert from_resolv_conf("nameserver fe80::1%eth0\n") == (("fe80::1%eth0", 53),)


def test_a_local_stub_is_queried_itself() -> None:
    assert from_resolv_conf(STUB) == (("127.0.0.53", 53),)
    assert from_resolv_conf("nameserver 127.0.0.1\n") == (("127.0.0.1", 53),)


def test_no_configuration_means_localhost() -> None:
    assert from_resolv_conf("") == (("127.0.0.1", 53),)
    assert from_resolv_conf("nameserver localhost\nnameserver \n") == (("127.0.0.1", 53),)


def test_at_most_three_each_once() -> None:
    text = "".join(f"nameserver 192.0.2.{number // 2}\n" for number in range(12))
    assert from_resolv_conf(text) == tuple((f"192.0.2.{number}", 53) for number in range(3))


def test_the_resolvers_of_macos_are_those_of_scutil() -> None:
    assert from_scutil(SCUTIL) == (("192.168.1.1", 53), ("fe80::1%en0", 53))
    assert from_scutil(SPLIT_TUNNEL) == (("192.168.1.1", 53),)
    assert from_scutil("No DNS configuration available\n") == ()


def test_the_resolvers_of_windows_are_its_lines_without_unused_ones() -> None:
    text = "192.168.1.1\r\n192.168.1.2\r\nfec0:0:0:ffff::1\r\nfec0:0:0:ffff::2\r\n192.168.1.1\r\n"
    assert from_lines(text) == (("192.168.1.1", 53), ("192.168.1.2", 53))
    assert from_lines("Get-NetRoute : not found\r\n") == ()


def test_system_resolvers_can_be_read() -> None:
    assert all(port == 53 for _, port in system_resolvers())


def test_a_missing_command_gives_no_output() -> None:
    assert resolvers._output("no-such-command-anywhere") == ""
    assert resolvers._output("true") == ""


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("192.0.2.1", True),
        ("2001:db8::53", True),
        ("fe80::1", False),
        ("fe80::1%no-such-interface", False),
        ("fe80::1%99999999999999999999", False),
        ("fe80::1%4294967295", False),
    ],
)
def test_a_link_local_address_needs_its_interface(address: str, *, expected: bool) -> None:
    assert resolvers.can_ask(address) is expected


def test_a_link_local_address_with_its_interface_is_asked() -> None:
    interfaces = [name for _, name in socket.if_nameindex() if name != "lo"]
    usable = [name for name in interfaces if resolvers.can_ask(f"fe80::1%{name}")]
    if not usable:
        pytest.skip("no interface with IPv6 here")
    index = socket.if_nametoindex(usable[0])
    assert socket_address(f"fe80::1%{usable[0]}", 53) == ("fe80::1", 53, 0, index)
    assert socket_address(f"fe80::1%{index}", 53) == ("fe80::1", 53, 0, index)


def configured(monkeypatch: pytest.MonkeyPatch, path: Path, content: str) -> list[str]:
    path.write_text(content)
    monkeypatch.setattr(resolvers, "_RESOLV", path)
    monkeypatch.setattr(sys, "platform", "linux")
    return [address for address, _ in system_resolvers()]


def test_a_resolver_that_cannot_be_asked_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "nameserver fe80::1\nnameserver 127.0.0.9\n"
    assert configured(monkeypatch, tmp_path / "a", text) == ["127.0.0.9"]
    assert configured(monkeypatch, tmp_path / "b", "nameserver fe80::1\n") == ["127.0.0.1"]
