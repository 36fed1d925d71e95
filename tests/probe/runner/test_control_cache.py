"""What others see, with its age counted from each of our records."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from probe.model import Control, Dns, Reply, Tcp
from probe.ordering import Job
from probe.runner.control_cache import AHEAD, ControlCache, addresses
from probe.runner.record_builder import Measurement
from tests.probe.stage import FakeDesk, Stage, StageNet

URL = "https://a.example/"


def test_an_age_is_counted_from_our_record() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0), Control(id="d", age=-5.0))})
    opinions = ControlCache(desk)
    asyncio.run(opinions.ask([URL]))
    now = time.time()
    near, far = opinions.of(URL, now + 10.0)
    assert (near.id, far.id) == ("d", "c")
    assert near.age == pytest.approx(-15.0, abs=0.5)
    after = opinions.of(URL, now - 100.0)
    assert {one.id: round(one.age) for one in after} == {"c": 40, "d": 95}


def test_one_observation_counts_once() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0),)})
    opinions = ControlCache(desk)
    asyncio.run(opinions.ask([URL]))
    asyncio.run(opinions.ask([URL]))
    assert len(opinions.of(URL, time.time())) == 1
    assert opinions.of("https://other.example/", time.time()) == ()


def test_a_leaf_that_a_recheck_brought_outlives_the_next_answer() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0, certs={"ab" * 32: "AA=="}),)})
    opinions = ControlCache(desk)
    asyncio.run(opinions.ask([URL]))
    desk.known = {URL: (Control(id="c", age=-70.0),)}
    asyncio.run(opinions.ask([URL]))
    (one,) = opinions.of(URL, time.time())
    assert one.certs == {"ab" * 32: "AA=="}


def test_what_nobody_spoke_of_is_asked_for_again_with_the_recheck() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0),)})
    opinions = ControlCache(desk)
    look = Measurement(
        "id", Job("web", URL), datetime.now(UTC), 0.0, StageNet(Stage(), 0.0), (), 1.0
    )
    asyncio.run(opinions.recheck([look]))
    assert [one.id for one in opinions.of(URL, time.time())] == ["c"]


def test_addresses_are_those_answered_and_dialled_in_order() -> None:
    reply = Reply(at=0.0, rcode=0, answers=("192.0.2.1", "192.0.2.2"))
    steps = (
        Dns(name="a", resolver="system", replies=(reply,)),
        Tcp(address="192.0.2.2", port=443),
        Tcp(address="192.0.2.3", port=443),
    )
    assert list(addresses(steps)) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_of_a_long_list_only_what_is_held_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.runner.control_cache._OFTEN", 0.01)
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0),)})
    opinions = ControlCache(desk)
    held: dict[Job, None] = {}
    many = [f"https://{number}.example/" for number in range(AHEAD)]

    async def scene() -> None:
        following = asyncio.ensure_future(opinions.follow([*many, URL], held))
        await asyncio.sleep(0.05)
        assert opinions.of(URL, time.time()) == ()
        held[Job("web", URL)] = None
        await asyncio.sleep(0.05)
        following.cancel()

    asyncio.run(scene())
    assert [one.id for one in opinions.of(URL, time.time())] == ["c"]


def test_a_short_list_is_asked_about_ahead() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0),)})
    opinions = ControlCache(desk)
    asyncio.run(opinions.follow([URL], ()))
    assert [one.id for one in opinions.of(URL, time.time())] == ["c"]


def test_after_the_second_looks_whoever_answered_is_asked_once_more() -> None:
    desk = FakeDesk()
    opinions = ControlCache(desk)

    async def ended() -> None:
        desk.known = {URL: (Control(id="later", age=-1.0),)}

    asyncio.run(opinions.settle(ended(), [Job("web", URL)]))
    assert not opinions.of(URL, time.time())
    desk.answered = True
    asyncio.run(opinions.settle(ended(), [Job("web", URL)]))
    assert [one.id for one in opinions.of(URL, time.time())] == ["later"]
