"""Looks at references: cheap, short, and facts only."""

import asyncio

import pytest

from probe.experiments.interface import Net, Reference
from probe.experiments.operations import DnsQuery
from probe.failure import Failure
from probe.model import Dns, Http, Reply, Role, Tcp, Tls
from probe.runner.references import ReferenceChecks, reached
from tests.probe.stage import Stage, StageNet


def refs(*urls: str) -> tuple[Reference, ...]:
    return tuple(Reference(url) for url in urls)


def lookout(stage: Stage, *urls: str) -> ReferenceChecks:
    def net() -> Net:
        return StageNet(stage, 0.0)

    return ReferenceChecks(net, refs(*urls), seed=1)


def test_a_look_is_a_query_a_handshake_and_a_plain_page() -> None:
    watch = lookout(Stage(), "https://a.example/")
    asyncio.run(watch.look_before())
    kinds = [type(step) for step in watch.before if step.role is Role.REFERENCE]
    assert kinds == [Dns, Tcp, Tls, Tcp, Tls, Http]  # the stage proves every page
    assert [step.id for step in watch.before] == list(range(1, len(watch.before) + 1))
    assert watch.before[1].parent == watch.before[3].parent == 1
    assert [one.url for one in watch.working] == ["https://a.example/"]
    assert watch.working[0].address is not None


def test_a_name_that_exists_nowhere_is_asked_for() -> None:
    watch = lookout(Stage(), "https://a.example/")
    asyncio.run(watch.look_before())
    nowhere = watch.before[-1]
    assert isinstance(nowhere, Dns)
    assert nowhere.role is Role.NEUTRAL
    assert nowhere.failure is not None


def test_what_does_not_answer_does_not_work() -> None:
    watch = lookout(Stage({"b.example": "silent"}), "https://a.example/", "https://b.example/")
    asyncio.run(watch.look_before())
    assert [one.url for one in watch.working] == ["https://a.example/"]
    assert watch.reached


def test_a_dead_line_reaches_nothing() -> None:
    watch = lookout(Stage(dead=True), "https://a.example/")
    asyncio.run(watch.look_before())
    assert watch.working == []
    assert not watch.reached


def test_afterwards_what_worked_is_looked_at_and_a_few_found_sites() -> None:
    stage = Stage({"b.example": "silent"})
    watch = lookout(stage, "https://a.example/", "https://b.example/")
    asyncio.run(watch.look_before())
    stage.asked.clear()
    found = refs(*(f"https://site{n}.test/" for n in range(9)), "https://site0.test/more")
    asyncio.run(watch.look_after(found))
    assert {name for name in stage.asked if name != "a.example"} < {
        f"site{n}.test" for n in range(9)
    }
    assert len(set(stage.asked)) == 4


def test_when_nothing_worked_every_anchor_is_looked_at_again() -> None:
    stage = Stage(dead=True)
    watch = lookout(stage, "https://a.example/")
    asyncio.run(watch.look_before())
    stage.dead = False
    asyncio.run(watch.look_after(()))
    assert watch.reached


def test_a_resolver_that_knows_what_does_not_exist_is_a_sign_of_life() -> None:
    watch = lookout(Stage())
    asyncio.run(watch.look_before())
    assert watch.reached
    watch = lookout(Stage(dead=True))
    asyncio.run(watch.look_before())
    assert not watch.reached


@pytest.mark.parametrize("failure", [None, Failure.DNS_SERVFAIL, Failure.DNS_REFUSED])
def test_a_resolver_that_is_cut_off_or_invents_answers_is_none(failure: Failure | None) -> None:
    class Cut(StageNet):
        async def dns(self, query: DnsQuery) -> Dns:
            reply = Reply(at=0.0, rcode=0, answers=("192.168.1.1",))
            return Dns(name=query.name, resolver="system", replies=(reply,), failure=failure)

    watch = ReferenceChecks(lambda: Cut(Stage(), 0.0), (), 0)
    asyncio.run(watch.look_before())
    assert not watch.reached


def test_a_cache_at_home_is_no_sign_of_life() -> None:
    reply = Reply(at=0.0, rcode=0, answers=("192.0.2.1",))
    assert not reached((Dns(name="a", resolver="system", replies=(reply,)),))
    assert reached((Dns(name="a", resolver="9.9.9.9", replies=(reply,)),))
    assert reached((Tcp(address="192.0.2.1", port=443),))
    assert not reached(())
