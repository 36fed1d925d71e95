"""Checks of reference sites."""

import asyncio
from collections.abc import Sequence

import pytest

from probe.experiments.interface import Net, Reference, Resolver
from probe.experiments.operations import DnsQuery
from probe.failure import Failure
from probe.model import Dns, Http, Reply, Role, Tcp, Tls
from probe.runner.references import ReferenceChecks, reached
from tests.probe.fake_run import FakeSession, FakeTargetNet


def refs(*urls: str) -> tuple[Reference, ...]:
    return tuple(Reference(url) for url in urls)


def checks(session: FakeSession, *urls: str) -> ReferenceChecks:
    def net() -> Net:
        return FakeTargetNet(session, 0.0)

    return ReferenceChecks(net, refs(*urls), seed=1)


def test_a_check_is_a_query_a_handshake_and_a_plain_page() -> None:
    checked = checks(FakeSession(), "https://a.example/")
    asyncio.run(checked.check_before())
    kinds = [type(step) for step in checked.before if step.role is Role.REFERENCE]
    assert kinds == [Dns, Tcp, Tls, Tcp, Tls, Http]  # the fake net verifies every page
    assert [step.id for step in checked.before] == list(range(1, len(checked.before) + 1))
    assert checked.before[1].parent == checked.before[3].parent == 1
    assert [one.url for one in checked.working] == ["https://a.example/"]
    assert checked.working[0].address is not None


def test_a_nonexistent_name_is_queried() -> None:
    checked = checks(FakeSession(), "https://a.example/")
    asyncio.run(checked.check_before())
    nonexistent = checked.before[-1]
    assert isinstance(nonexistent, Dns)
    assert nonexistent.role is Role.NEUTRAL
    assert nonexistent.failure is not None


def test_a_silent_site_does_not_work() -> None:
    checked = checks(
        FakeSession({"b.example": "silent"}), "https://a.example/", "https://b.example/"
    )
    asyncio.run(checked.check_before())
    assert [one.url for one in checked.working] == ["https://a.example/"]
    assert checked.reached


def test_on_a_dead_line_nothing_is_reached() -> None:
    checked = checks(FakeSession(dead=True), "https://a.example/")
    asyncio.run(checked.check_before())
    assert checked.working == []
    assert not checked.reached


def test_afterwards_working_anchors_and_a_few_found_sites_are_checked() -> None:
    session = FakeSession({"b.example": "silent"})
    checked = checks(session, "https://a.example/", "https://b.example/")
    asyncio.run(checked.check_before())
    session.hosts.clear()
    found = refs(*(f"https://site{n}.test/" for n in range(9)), "https://site0.test/more")
    asyncio.run(checked.check_after(found))
    assert {name for name in session.hosts if name != "a.example"} < {
        f"site{n}.test" for n in range(9)
    }
    assert len(set(session.hosts)) == 4


def test_when_no_anchor_worked_all_are_checked_again() -> None:
    session = FakeSession(dead=True)
    checked = checks(session, "https://a.example/")
    asyncio.run(checked.check_before())
    session.dead = False
    asyncio.run(checked.check_after(()))
    assert checked.reached


def test_nxdomain_shows_that_the_line_works() -> None:
    checked = checks(FakeSession())
    asyncio.run(checked.check_before())
    assert checked.reached
    checked = checks(FakeSession(dead=True))
    asyncio.run(checked.check_before())
    assert not checked.reached


@pytest.mark.parametrize("failure", [None, Failure.DNS_SERVFAIL, Failure.DNS_REFUSED])
def test_other_answers_of_the_system_resolver_do_not(failure: Failure | None) -> None:
    class Cut(FakeTargetNet):
        async def dns(self, query: DnsQuery) -> Dns:
            reply = Reply(at=0.0, rcode=0, answers=("192.168.1.1",))
            return Dns(name=query.name, resolver="system", replies=(reply,), failure=failure)

    checked = ReferenceChecks(lambda: Cut(FakeSession(), 0.0), (), 0)
    asyncio.run(checked.check_before())
    assert not checked.reached


def test_an_answer_from_a_local_cache_does_not_either() -> None:
    reply = Reply(at=0.0, rcode=0, answers=("192.0.2.1",))
    assert not reached((Dns(name="a", resolver="system", replies=(reply,)),))
    assert reached((Dns(name="a", resolver="9.9.9.9", replies=(reply,)),))
    assert reached((Tcp(address="192.0.2.1", port=443),))
    assert not reached(())


def test_an_anchor_that_works_counts_before_a_silent_one_is_given_up() -> None:
    async def scenario() -> list[str]:
        session = FakeSession({"silent.test": "slow"})
        checked = checks(session, "https://silent.test/", "https://works.test/")
        checking = asyncio.create_task(checked.check_before())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not checking.done()
        checking.cancel()
        return [one.url for one in checked.working]

    assert asyncio.run(scenario()) == ["https://works.test/"]


class Barrier(FakeTargetNet):
    """Two resolvers; a query is answered only once every query was asked."""

    def __init__(self, wanted: int) -> None:
        super().__init__(FakeSession(), 0.0)
        self.asked, self.wanted = 0, wanted
        self.all_asked = asyncio.Event()

    @property
    def resolvers(self) -> Sequence[Resolver]:
        return (*super().resolvers, Resolver("192.0.2.54", "192.0.2.54"))

    async def dns(self, query: DnsQuery) -> Dns:
        self.asked += 1
        if self.asked == self.wanted:
            self.all_asked.set()
        await self.all_asked.wait()
        return Dns(name=query.name, resolver=query.resolver.label, failure=Failure.TIMEOUT)


def test_silent_anchors_and_resolvers_are_not_waited_for_one_after_another() -> None:
    sites = refs(*(f"https://a{n}.example/" for n in range(8)))
    net = Barrier(wanted=2 * len(sites) + 1)  # and the name that does not exist

    async def scenario() -> None:
        async with asyncio.timeout(30):  # it would wait for ever
            checked = ReferenceChecks(lambda: net, sites, seed=1)
            await checked.check_before()

    asyncio.run(scenario())
    assert net.asked == net.wanted
