"""The parent's side of the raw helper: failures of the helper become a reason, never an error."""

import asyncio
import sys

import pytest

from probe.net import raw
from probe.net.raw import Raw

ANSWERS = """
import json, sys
for line in sys.stdin:
    order = json.loads(line)
    print(json.dumps(ANSWERS[order["op"]]), flush=True)
"""
PACKET = {"at": 1.5, "by": "router", "ip_ttl": 60, "ip_id": 1, "address": "198.51.100.4"}


def helper(answers: object) -> list[str]:
    return [sys.executable, "-c", ANSWERS.replace("ANSWERS[", f"{answers!r}[")]


@pytest.fixture(autouse=True)
def _linux_with_scapy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.net.raw.sys.platform", "linux")
    monkeypatch.setattr(raw, "find_spec", lambda _: object())


def test_packets_are_returned_and_only_known_routers_by_address() -> None:
    async def go() -> None:
        one = Raw(["203.0.113.7"], argv=helper({"begin": {}, "packets": {"packets": [PACKET]}}))
        await one.start()
        assert one.missing is None
        (hidden,) = await one.packets("203.0.113.7", 5, set())
        (shown,) = await one.packets("203.0.113.7", 5, {"198.51.100.4"})
        await one.stop()
        assert (hidden.address, shown.address) == (None, "198.51.100.4")

    asyncio.run(go())


@pytest.mark.parametrize(
    ("argv", "missing"),
    [
        (helper({"begin": {"refused": "no CAP_NET_RAW"}}), "no CAP_NET_RAW"),
        ([sys.executable, "-c", ""], raw.GONE),
        ([sys.executable, "-c", "print('x' * 9)"], raw.GONE),
        (["/nowhere/helper"], raw.NOT_STARTED),
    ],
)
def test_a_missing_or_unprivileged_helper_is_reported(argv: list[str], missing: str) -> None:
    async def go() -> None:
        one = Raw(["203.0.113.7"], argv=argv)
        await one.start()
        assert one.missing == missing
        assert await one.packets("203.0.113.7", 5, set()) == []
        assert await one.capture(set()) == b""
        await one.stop()

    asyncio.run(go())


def test_an_unavailable_helper_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing_for(addresses: list[str]) -> str | None:
        one = Raw(addresses, argv=["/nowhere"])
        await one.start()
        return one.missing

    assert asyncio.run(missing_for(["2001:db8::1"])) == "there is no IPv4 address to watch"
    monkeypatch.setattr(raw, "find_spec", lambda _: None)
    assert asyncio.run(missing_for(["203.0.113.7"])) == raw.NO_SCAPY
    monkeypatch.setattr("probe.net.raw.sys.platform", "darwin")
    assert asyncio.run(missing_for(["203.0.113.7"])) == raw.NOT_LINUX


@pytest.mark.parametrize("packets", [3, [{"at": "x"}], [PACKET | {"more": 1}]])
def test_an_invalid_answer_has_no_packets(packets: object) -> None:
    async def go() -> None:
        one = Raw(["203.0.113.7"], argv=helper({"begin": {}, "packets": {"packets": packets}}))
        await one.start()
        assert await one.packets("203.0.113.7", 5, set()) == []
        await one.stop()

    asyncio.run(go())
