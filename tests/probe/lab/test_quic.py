"""The lab's reader of QUIC Initials."""

import ssl

import pytest

pytest.importorskip("aioquic", reason="the extra [quic] is not installed")

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from hypothesis import given
from hypothesis import strategies as st

from probe.lab.initial import Initials


def first_flight(name: str | None) -> list[bytes]:
    settings = QuicConfiguration(server_name=name, verify_mode=ssl.CERT_NONE)
    client = QuicConnection(configuration=settings)
    client.connect(("192.0.2.1", 443), 0.0)
    return [data for data, _ in client.datagrams_to_send(0.0)]


def test_the_name_is_read_from_a_clients_first_flight() -> None:
    seen = Initials()
    assert [seen.take(data) for data in first_flight("example-site.org")][-1] == "example-site.org"


def test_a_flight_without_a_name_has_none() -> None:
    seen = Initials()
    assert {seen.take(data) for data in first_flight(None)} == {None}


@given(st.binary(max_size=300))
def test_bytes_that_are_no_initial_have_no_name(data: bytes) -> None:
    assert Initials().take(data) is None
    assert Initials().take(b"\xc3\0\0\0\1" + data) is None
