"""Unencrypted alerts are found in TLS records, and any bytes can be searched."""

from hypothesis import given, strategies as st

from probe.net.alert import in_records


def test_the_last_unencrypted_alert() -> None:
    handshake = bytes.fromhex("1603030004") + b"\x0e\0\0\0"
    assert in_records(handshake + bytes.fromhex("15030300020228")) == 40
    assert in_records(bytes.fromhex("1503030002017015030300020228")) == 40


def test_an_encrypted_or_truncated_alert_is_none() -> None:
    assert in_records(bytes.fromhex("1503030013") + b"x" * 19) is None
    assert in_records(bytes.fromhex("150303000202")) is None
    assert in_records(b"") is None


@given(st.binary(max_size=200))
def test_anything_can_be_searched(data: bytes) -> None:
    found = in_records(data)
    assert found is None or 0 <= found <= 255
