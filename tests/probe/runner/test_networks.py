"""Networks of routers, servers and the resolver, by the user's table."""

import asyncio
from pathlib import Path

import pytest

from probe.config import Settings
from probe.errors import UserError
from probe.model import Http, Ping, Tcp, Tls, Travel
from probe.runner.networks import NetworkTable, table_of_networks
from tests.build import dns, record

TABLE = """5.0.0.0\t5.0.0.255\t64501\tKZ\tProvider
8.8.8.0\t8.8.8.255\t15169\tUS\tGOOGLE
10.0.0.0\t10.255.255.255\t64502\tKZ\tHome
45.130.0.0\t45.130.255.255\t64500\tDE\tSite
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "table.tsv"
    file.write_text(TABLE)
    return file


@pytest.mark.parametrize(
    ("address", "asn"),
    [("8.8.8.8", 15169), ("10.0.0.1", None), ("9.9.9.9", None), ("2001:4860:4860::8888", None)],
)
def test_the_resolver_has_the_network_of_its_address(
    address: str, asn: int | None, table: Path
) -> None:
    assert asyncio.run(NetworkTable(table).asn_of(address)) == asn
    assert asyncio.run(NetworkTable(None).asn_of(address)) is None


def test_routers_and_the_server_are_named_and_nothing_else(table: Path) -> None:
    steps = (
        Ping(id=1, what="router", address="5.0.0.7", travel=Travel(ttl=4, expired=True)),
        Ping(id=2, what="router", address=None, travel=Travel(ttl=1, expired=True)),
        Ping(id=3, what="gateway"),
        Tcp(id=4, address="45.130.0.9", port=443),
        Ping(id=5, what="server", address="45.130.0.9"),
    )
    named = asyncio.run(NetworkTable(table).with_networks(steps))
    found = [(s.asn, s.country) if isinstance(s, Ping) else None for s in named]
    assert found == [(64501, "KZ"), (None, None), (None, None), None, (64500, "DE")]
    assert asyncio.run(NetworkTable(None).with_networks(steps)) == steps


def test_the_systems_of_the_addresses_that_connections_went_to(table: Path) -> None:
    seen = (
        record(
            Tcp(address="45.130.0.9", port=443),
            Tls(address="45.130.7.9", port=443),
            Http(address="8.8.8.8", port=80, url="http://dns.example/", host="dns.example"),
            Tcp(address="10.0.0.1", port=443),
            Tcp(address="9.9.9.9", port=443),
            dns("5.0.0.1"),
        ),
    )
    found = asyncio.run(NetworkTable(table).systems(seen))
    assert found == {"45.130.0.9": 64500, "45.130.7.9": 64500, "8.8.8.8": 15169}
    assert asyncio.run(NetworkTable(None).systems(seen)) == {}


def test_a_table_is_read_once_for_an_address(table: Path) -> None:
    networks = NetworkTable(table)
    assert asyncio.run(networks.asn_of("8.8.8.8")) == 15169
    table.unlink()
    assert asyncio.run(networks.asn_of("8.8.8.8")) == 15169
    assert asyncio.run(networks.asn_of("5.0.0.1")) is None


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "no.tsv"
    file.write_text("nothing\n")
    for path in (file, tmp_path / "none"):
        with pytest.raises(UserError):
            table_of_networks(Settings(asn_table=str(path)))
    assert table_of_networks(Settings()) is None
