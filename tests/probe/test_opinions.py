"""What others see, with its age counted from each of our records."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from probe.draft import Look
from probe.model import Control, Dns, Reply, Tcp
from probe.opinions import Opinions, addresses
from probe.plan import Job
from tests.probe.stage import FakeDesk, Stage, StageNet

URL = "https://a.example/"


def test_an_age_is_counted_from_our_record() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0), Control(id="d", age=-5.0))})
    opinions = Opinions(desk)
    asyncio.run(opinions.ask([URL]))
    now = time.time()
    near, far = opinions.of(URL, now + 10.0)
    assert (near.id, far.id) == ("d", "c")
    assert near.age == pytest.approx(-15.0, abs=0.5)
    after = opinions.of(URL, now - 100.0)
    assert {one.id: round(one.age) for one in after} == {"c": 40, "d": 95}


def test_one_observation_counts_once() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0),)})
    opinions = Opinions(desk)
    asyncio.run(opinions.ask([URL]))
    asyncio.run(opinions.ask([URL]))
    assert len(opinions.of(URL, time.time())) == 1
    assert opinions.of("https://other.example/", time.time()) == ()


def test_what_nobody_spoke_of_is_asked_for_again_with_the_recheck() -> None:
    desk = FakeDesk(known={URL: (Control(id="c", age=-60.0),)})
    opinions = Opinions(desk)
    look = Look("id", Job("web", URL), datetime.now(UTC), 0.0, StageNet(Stage(), 0.0), (), 1.0)
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
