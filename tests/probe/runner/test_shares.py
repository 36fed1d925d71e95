"""The limits of an experiment's share of a profile."""

from probe.experiments.interface import Share
from probe.model import Http, Tls, Transfer
from probe.runner.shares import ShareLimits

PAGE = Http(url="https://a.example/", address="192.0.2.1", port=443, host="a", bytes_in=600)
HANDSHAKE = Tls(address="192.0.2.1", port=443, sni="a", bytes_in=300, bytes_out=100)
MOVED = Transfer(
    address="192.0.2.1", port=443, sni="a", arm="A", pair=1, host="a", asked_bytes=1,
    ended="full", wire_bytes=1000,
)  # fmt: skip


def test_without_a_share_nothing_is_limited() -> None:
    limits = ShareLimits()
    limits.note("web", (PAGE,), 1e9)
    assert not limits.spent("web")
    assert not limits.limits("web")


def test_seconds_and_bytes_are_counted_by_experiment() -> None:
    limits = ShareLimits({"a": Share(seconds=10.0), "b": Share(bytes=2000)})
    limits.note("a", (PAGE, MOVED), 9.0)
    limits.note("b", (PAGE, HANDSHAKE), 100.0)
    assert not limits.spent("a")
    assert not limits.spent("b")
    limits.note("a", (), 1.0)
    limits.note("b", (MOVED,), 0.0)
    assert limits.spent("a")
    assert limits.spent("b")
    assert not limits.spent("web")
