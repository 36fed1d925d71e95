"""What `web` sends, and in which order, over a network that is a dict."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import pytest
from msgspec.structs import replace

from probe.experiments import web
from probe.experiments.interface import Reference, Task
from probe.experiments.operations import DnsQuery, HttpRequest, TcpConnect
from probe.failure import Failure
from probe.model import Dns, Http, Reply, Role, Steps, Tcp, Tls, Trust
from tests.build import FORGED, GOOD, HARMLESS, HOST, OTHER, PLAIN, SINK, URL, control, dns, fetched
from tests.fake_net import FakeNet

T = TypeVar("T")
TASK = Task(
    URL, seed=1, harmless=(HARMLESS,), references=(Reference("https://ref.example/", OTHER),)
)
NAMES: dict[tuple[str, str], tuple[str, ...] | Failure] = {
    ("system", HOST): (GOOD,),
    ("8.8.8.8", HOST): (GOOD,),
    ("1.1.1.1", HOST): (GOOD,),
}


def first(net: FakeNet, task: Task = TASK) -> Steps:
    return asyncio.run(web.measure(task, net))


def both(net: FakeNet, task: Task = TASK) -> Steps:
    return asyncio.run(web.confirm(task, net, first(net, task)))


def test_a_plain_site_takes_one_fetch_and_no_confirmation() -> None:
    net = FakeNet(names=NAMES)
    steps = first(net)
    assert [type(s) for s in steps[-3:]] == [Tcp, Tls, Http]
    assert not web.needs_confirmation(TASK, steps)
    assert sum(a.startswith("tcp") for a in net.asked) == 1


def test_each_step_has_its_parent() -> None:
    steps = first(FakeNet(names=NAMES))
    asked, tcp, tls, page = steps[0], *steps[-3:]
    assert isinstance(asked, Dns)
    assert (tcp.parent, tls.parent, page.parent) == (asked.id, tcp.id, tls.id)
    assert [s.id for s in steps] == list(range(1, len(steps) + 1))


def test_redirects_are_followed_hop_by_hop_with_their_own_names() -> None:
    there = "https://www.site.example/"
    net = FakeNet(
        names={**NAMES, ("system", "www.site.example"): (OTHER,)},
        pages={(GOOD, URL, HOST): {"status": 303, "location": there}},
    )
    steps = first(net)
    assert {s.hop for s in steps} == {0, 1}
    assert [s.url for s in steps if isinstance(s, Http)] == [URL, there]
    assert "dns system www.site.example" in net.asked


def test_a_redirect_to_itself_ends() -> None:
    net = FakeNet(names=NAMES, pages={(GOOD, URL, HOST): {"status": 302, "location": URL}})
    steps = first(net)
    assert len([s for s in steps if isinstance(s, Http)]) == 1
    assert web.needs_confirmation(TASK, steps)


def test_a_redirect_to_another_scheme_is_not_followed() -> None:
    net = FakeNet(
        names=NAMES, pages={(GOOD, URL, HOST): {"status": 302, "location": "ftp://site.example/"}}
    )
    assert {s.hop for s in first(net)} == {0}


def test_the_second_address_is_tried_when_the_first_does_not_connect() -> None:
    net = FakeNet(names={**NAMES, ("system", HOST): (SINK, GOOD)}, dead={SINK})
    steps = first(net)
    assert [s.address for s in steps if isinstance(s, Tcp)] == [SINK, GOOD]
    assert isinstance(steps[-1], Http)


def test_an_unsafe_address_is_never_dialled() -> None:
    net = FakeNet(names={("system", HOST): ("10.0.0.1",)})
    both(net)
    assert not any("10.0.0.1" in asked for asked in net.asked)


def test_what_fails_is_compared_harmless_target_harmless_between_references() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.TIMEOUT})
    steps = both(net)
    shaken = [s for s in steps if isinstance(s, Tls) and s.address == GOOD]
    assert [s.sni for s in shaken] == [HOST, HARMLESS, HOST, HARMLESS]
    references = [s for s in steps if s.role is Role.REFERENCE]
    again = [s for s in steps if s.try_ == 2 and s.role is Role.TARGET]
    assert references[0].at < again[0].at < references[-1].at


def test_the_confirmation_asks_every_resolver() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})
    steps = both(net)
    again = {s.resolver for s in steps if isinstance(s, Dns) and s.try_ == 2}
    assert again == {"system", "8.8.8.8", "1.1.1.1"}


def test_a_name_with_nxdomain_is_fetched_from_other_resolvers_addresses() -> None:
    net = FakeNet(names={**NAMES, ("system", HOST): Failure.DNS_NXDOMAIN})
    steps = both(net)
    assert any(isinstance(s, Http) and s.proven and s.address == GOOD for s in steps)
    assert any(isinstance(s, Dns) and s.role is Role.REFERENCE for s in steps)


def test_a_plain_site_is_also_asked_over_https() -> None:
    net = FakeNet(names=NAMES)
    steps = both(net, replace(TASK, url=PLAIN))
    assert any(isinstance(s, Http) and s.url == URL and s.proven for s in steps)


def test_a_redirect_off_the_site_is_confirmed_where_it_left() -> None:
    net = FakeNet(
        names={**NAMES, ("system", "stop.example"): (SINK,)},
        pages={(GOOD, PLAIN, HOST): {"status": 302, "location": "https://stop.example/"}},
    )
    steps = both(net, replace(TASK, url=PLAIN))
    again = [s for s in steps if isinstance(s, Http) and s.try_ == 2 and s.url == PLAIN]
    assert again


def hanging(net: FakeNet) -> Steps:
    """The first look at a server that acknowledged the request and never answered."""
    return tuple(replace(s, acknowledged=True) if isinstance(s, Http) else s for s in first(net))


def test_a_silent_server_that_acknowledged_gets_one_long_fetch() -> None:
    net = FakeNet(names=NAMES, pages={(GOOD, URL, HOST): Failure.TIMEOUT})
    steps = asyncio.run(web.confirm(TASK, net, hanging(net)))
    waited = [s for s in steps if isinstance(s, Http) and s.url == URL]
    assert [s.limit for s in waited if s.limit] == [web.PATIENCE]
    again = [s.role for s in steps if isinstance(s, Tls) and s.address == GOOD][1:]
    assert again == [Role.HARMLESS, Role.TARGET, Role.HARMLESS]


def test_where_no_harmless_name_was_ever_answered_it_is_offered_once_afterwards() -> None:
    silent: dict[tuple[str, str | None], Failure | Trust] = {
        (GOOD, HOST): Failure.TIMEOUT,
        (GOOD, HARMLESS): Failure.TIMEOUT,
    }
    steps = both(FakeNet(names=NAMES, handshakes=silent))
    offered = [s.sni for s in steps if isinstance(s, Tls) and s.address == GOOD and s.try_ < 3]
    assert offered == [HOST, HARMLESS, HARMLESS, HOST, HARMLESS]


def test_an_address_that_does_not_connect_is_tried_with_both_names_at_once() -> None:
    together: list[int] = []

    class Counting(FakeNet):
        async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
            before = len([a for a in self.asked if a.startswith(f"tcp {GOOD}")])
            done = await super().together(asks)
            together.append(len([a for a in self.asked if a.startswith(f"tcp {GOOD}")]) - before)
            return done

    net = Counting(names=NAMES, dead={GOOD})
    steps = both(net)
    assert 2 in together
    tried = [s.role for s in steps if isinstance(s, Tcp) and s.address == GOOD]
    assert tried == [Role.TARGET, Role.HARMLESS, Role.TARGET]


def test_where_nothing_answers_any_more_nothing_is_waited_for() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.TIMEOUT})
    seen = first(net)
    net.names = dict.fromkeys([*NAMES, ("system", "ref.example")], Failure.TIMEOUT)
    net.handshakes = dict.fromkeys(
        [(GOOD, HOST), (GOOD, HARMLESS), (OTHER, "ref.example")], Failure.TIMEOUT
    )
    steps = asyncio.run(web.confirm(TASK, net, seen))
    assert not [s for s in steps if s.try_ == 3]
    assert len([s for s in steps if s.role is Role.REFERENCE and isinstance(s, Tls)]) == 2


def test_a_silence_that_small_packets_end_is_not_waited_for() -> None:
    class SmallOnly(FakeNet):
        async def http(self, request: HttpRequest) -> Steps:
            self.handshakes = {(GOOD, HARMLESS): Failure.TIMEOUT}
            if request.segment_limit is None:
                self.handshakes[GOOD, HOST] = Failure.TIMEOUT
            return await super().http(request)

    steps = both(SmallOnly(names=NAMES))
    again = [s for s in steps if isinstance(s, Tls) and s.try_ == 3]
    assert [s.failure for s in again] == [None, Failure.TIMEOUT]
    assert all(s.limit < web.PATIENCE for s in again)


def test_a_punished_address_is_paused_for_once() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})
    seen = first(net)
    net.dead = {GOOD}
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        net.dead = set()

    net.pause = pause  # type: ignore[method-assign]
    steps = asyncio.run(web.confirm(TASK, net, seen))
    assert paused == [web.PUNISHED]
    offered = [s.sni for s in steps if isinstance(s, Tls) and s.address == GOOD]
    assert offered == [HOST, HARMLESS, HOST, HARMLESS]


def test_silence_for_every_name_gets_one_long_fetch() -> None:
    net = FakeNet(
        names=NAMES,
        handshakes={(GOOD, HOST): Failure.TIMEOUT, (GOOD, HARMLESS): Failure.TIMEOUT},
    )
    steps = both(net)
    assert any(s.try_ == 3 for s in steps)


def test_a_long_fetch_is_followed_by_the_harmless_name_that_was_answered() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.TIMEOUT})
    seen = tuple(replace(s, acknowledged=True) if isinstance(s, Tls) else s for s in first(net))
    steps = asyncio.run(web.confirm(TASK, net, seen))
    there = [s for s in steps if isinstance(s, Tls) and s.address == GOOD]
    assert [s.sni for s in there] == [HOST, HARMLESS, HOST, HARMLESS, HOST, HARMLESS]


def test_a_name_that_alone_is_shown_an_unknown_authority_is_offered_elsewhere_too() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): FORGED})
    there = [s for s in both(net) if isinstance(s, Tls) and s.address == OTHER]
    assert [s.sni for s in there if s.role is not Role.REFERENCE] == [HARMLESS, HOST, HARMLESS]


def test_a_server_with_one_unknown_authority_for_every_name_is_compared_at_its_address_only() -> (
    None
):
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): FORGED, (GOOD, HARMLESS): FORGED})
    assert not any(s.role is Role.NEUTRAL for s in both(net))


def test_a_name_that_alone_fails_is_offered_to_an_unrelated_server_too() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})
    steps = both(net)
    there = [s for s in steps if isinstance(s, Tls) and s.address == OTHER]
    assert [s.sni for s in there if s.role is not Role.REFERENCE] == [HARMLESS, HOST, HARMLESS]
    assert [s.role for s in there if s.sni == HOST] == [Role.NEUTRAL]


def offers(net: FakeNet, seen: Steps) -> list[tuple[str, str]]:
    """Which names were offered where in the second look, in order, but reference sites."""
    begun = len(seen)
    steps = asyncio.run(web.confirm(TASK, net, seen))[begun:]
    shaken = [s for s in steps if isinstance(s, Tls) and s.role is not Role.REFERENCE]
    return [(s.address, s.sni or "") for s in shaken]


SPARE = "151.101.1.69"
SILENT: dict[tuple[str, str | None], Failure | Trust] = {(GOOD, HOST): Failure.TIMEOUT}


def silent(net: FakeNet, *, acknowledged: bool = False) -> Steps:
    """A first look whose ClientHello was dropped, or acknowledged and not answered."""
    return tuple(
        replace(s, acknowledged=acknowledged) if isinstance(s, Tls) else s for s in first(net)
    )


def test_a_name_that_meets_silence_is_offered_elsewhere_while_it_is_fetched_again() -> None:
    net = FakeNet(names=NAMES, handshakes=SILENT)
    own = [(GOOD, HARMLESS), (GOOD, HOST)]
    elsewhere = [(OTHER, HARMLESS), (OTHER, HOST), (OTHER, HARMLESS)]
    assert offers(net, silent(net)) == [*own, *elsewhere, (GOOD, HARMLESS)]


def test_where_a_server_may_be_slow_it_is_offered_elsewhere_after_the_long_look() -> None:
    net = FakeNet(names=NAMES, handshakes=SILENT)
    found = offers(net, silent(net, acknowledged=True))
    assert found[-3:] == [(OTHER, HARMLESS), (OTHER, HOST), (OTHER, HARMLESS)]
    assert found[:-3] == [(GOOD, HARMLESS), (GOOD, HOST)] * 2 + [(GOOD, HARMLESS)]


def test_no_unrelated_server_is_used_where_an_address_is_silent_after_an_offer() -> None:
    net = FakeNet(names=NAMES, handshakes={**SILENT, (GOOD, HARMLESS): Failure.TIMEOUT})
    assert all(address == GOOD for address, _ in offers(net, silent(net)))


def test_a_host_that_alone_fails_is_asked_for_at_an_unrelated_server_too() -> None:
    net = FakeNet(names=NAMES, pages={(GOOD, PLAIN, HOST): Failure.RESET})
    steps = both(net, replace(TASK, url=PLAIN))
    there = [s for s in steps if isinstance(s, Http) and s.role is Role.NEUTRAL]
    assert [(s.address, s.host) for s in there] == [(OTHER, HOST)]


def test_requests_that_fail_within_tls_are_made_at_an_unrelated_server_too() -> None:
    net = FakeNet(names=NAMES, pages={(GOOD, URL, HOST): Failure.TIMEOUT})
    there = [s for s in both(net) if isinstance(s, Http) and s.address == OTHER]
    assert [(s.host, s.role) for s in there if s.role is not Role.REFERENCE] == [
        (HARMLESS, Role.HARMLESS),
        (HOST, Role.NEUTRAL),
        (HARMLESS, Role.HARMLESS),
    ]
    shaken = [s for s in both(net) if isinstance(s, Tls) and s.role is Role.NEUTRAL]
    assert [(s.address, s.sni) for s in shaken] == [(OTHER, HOST)]


def test_a_name_after_which_an_address_is_dead_is_offered_to_a_server_the_run_does_not_need() -> (
    None
):
    net = FakeNet(
        names={**NAMES, ("system", HARMLESS): (SPARE,)},
        handshakes={**SILENT, (GOOD, HARMLESS): Failure.TIMEOUT},
    )
    elsewhere = [(SPARE, HARMLESS), (SPARE, HOST), (SPARE, HARMLESS)]
    assert [one for one in offers(net, silent(net)) if one[0] != GOOD] == elsewhere


def test_an_unrelated_server_that_rejects_harmless_names_is_passed_over() -> None:
    third = "93.184.216.77"
    net = FakeNet(
        names=NAMES,
        handshakes={(GOOD, HOST): Failure.RESET, (third, HARMLESS): Failure.SSL_HANDSHAKE},
    )
    two = (*TASK.references, Reference("https://third.example/", third))
    steps = both(net, replace(TASK, references=two))
    assert [s.address for s in steps if isinstance(s, Tls) and s.role is Role.NEUTRAL] == [OTHER]


@pytest.mark.parametrize("other", [False, None])
def test_a_foreign_server_is_offered_the_name_before_others(*, other: bool | None) -> None:
    third = "93.184.216.77"
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})
    two = (
        Reference("https://ref.example/", OTHER, foreign=True),
        Reference("https://third.example/", third, foreign=other),
    )
    steps = both(net, replace(TASK, references=two))
    assert [s.address for s in steps if isinstance(s, Tls) and s.role is Role.NEUTRAL] == [OTHER]


def test_a_page_unlike_the_hosts_own_over_https_is_asked_for_at_an_unrelated_server_too() -> None:
    other: dict[str, object] = {
        "title": "Qosh keldiniz",
        "fuzzy": "f0f0f0f0f0f0f0f0",
        "sha256": "other",
    }
    net = FakeNet(names=NAMES, pages={(GOOD, PLAIN, HOST): other})
    steps = both(net, replace(TASK, url=PLAIN))
    there = [s for s in steps if isinstance(s, Http) and s.role is Role.NEUTRAL]
    assert [(s.address, s.host) for s in there] == [(OTHER, HOST)]


def plain_pages(net: FakeNet) -> list[str]:
    return [s.address for s in both(net) if isinstance(s, Http) and s.url == PLAIN]


def test_a_doubtful_address_is_asked_for_its_page_over_plain_http_once() -> None:
    led = {**NAMES, ("system", HOST): (SINK,)}
    assert plain_pages(FakeNet(names=led, handshakes={(SINK, HOST): Failure.RESET})) == [SINK]


def test_no_plain_page_where_https_showed_one_or_others_give_the_address() -> None:
    led = {**NAMES, ("system", HOST): (SINK,)}
    assert plain_pages(FakeNet(names=led, handshakes={(SINK, HOST): FORGED})) == []
    assert plain_pages(FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})) == []


def test_a_host_that_is_redirected_away_is_asked_for_at_an_unrelated_server_too() -> None:
    away = {"status": 302, "location": "https://stop.example/"}
    net = FakeNet(
        names={**NAMES, ("system", "stop.example"): (SINK,)}, pages={(GOOD, PLAIN, HOST): away}
    )
    steps = both(net, replace(TASK, url=PLAIN))
    there = [s for s in steps if isinstance(s, Http) and s.role is Role.NEUTRAL]
    assert [(s.address, s.host) for s in there] == [(OTHER, HOST)]


def test_an_unrelated_server_is_used_where_the_control_got_an_answer_too() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})
    steps = both(net, replace(TASK, controls=(control(dns(GOOD), *fetched()),)))
    there = [s for s in steps if isinstance(s, Tls) and s.role is Role.NEUTRAL]
    assert [(s.address, s.sni) for s in there] == [(OTHER, HOST)]


def test_no_unrelated_server_is_used_where_an_address_is_blocked_after_an_offer() -> None:
    net = FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.RESET})

    def punish(what: str) -> None:
        if what.startswith("tls") and what.endswith(HOST):
            net.handshakes[GOOD, HARMLESS] = Failure.TIMEOUT

    net.before_each = punish
    assert not any(s.role is Role.NEUTRAL for s in both(net))


def test_addresses_of_a_later_answer_are_measured_too() -> None:
    net = FakeNet(names={("system", HOST): (SINK,)}, dead={SINK})
    two = (Reply(at=0.01, rcode=0, answers=(SINK,)), Reply(at=0.02, rcode=0, answers=(GOOD,)))
    seen = tuple(s if not isinstance(s, Dns) else replace(s, replies=two) for s in first(net))
    steps = asyncio.run(web.confirm(TASK, net, seen))
    assert any(isinstance(s, Http) and s.address == GOOD for s in steps)


def test_an_address_from_other_resolvers_only_is_measured_twice_when_it_fails() -> None:
    net = FakeNet(
        names={**NAMES, ("system", HOST): (SINK,)},
        dead={SINK},
        handshakes={(GOOD, HOST): Failure.RESET},
    )
    there = [s for s in both(net) if isinstance(s, Tls) and s.address == GOOD]
    assert [s.sni for s in there] == [HARMLESS, HOST, HARMLESS, HOST, HARMLESS]


def test_a_literal_address_asks_no_resolver() -> None:
    net = FakeNet()
    first(net, replace(TASK, url=f"http://{GOOD}/"))
    assert not any(asked.startswith("dns") for asked in net.asked)


def test_a_line_without_public_resolvers_still_measures() -> None:
    net = FakeNet(names=NAMES)
    net.resolvers = net.resolvers[:1]
    assert isinstance(first(net)[-1], Http)


def test_silence_to_every_name_is_looked_at_with_small_packets() -> None:
    names: dict[tuple[str, str | None], Failure | Trust] = {
        (GOOD, HOST): Failure.TIMEOUT,
        (GOOD, HARMLESS): Failure.TIMEOUT,
    }
    steps = both(FakeNet(names=NAMES, handshakes=names))
    assert [s.segment_limit for s in steps if isinstance(s, Tcp) and s.segment_limit] == [536, 536]


def test_a_large_answer_from_the_address_shows_that_large_packets_pass() -> None:
    steps = both(FakeNet(names=NAMES, handshakes={(GOOD, HOST): Failure.TIMEOUT}))
    assert not any(isinstance(s, Tcp) and s.segment_limit for s in steps)


FROZEN: dict[str, object] | Failure = {
    "failure": Failure.TIMEOUT,
    "bytes_in": 12_000,
    "complete": False,
}


def test_a_page_that_freezes_is_fetched_under_another_name_before_and_after() -> None:
    whole: dict[str, object] = {"bytes_in": 40_000}
    net = FakeNet(names=NAMES, pages={(GOOD, URL, HOST): FROZEN})

    def as_the_name_says(what: str) -> None:
        if what.startswith("tls"):
            net.pages[GOOD, URL, HOST] = whole if HARMLESS in what else FROZEN

    net.before_each = as_the_name_says
    steps = both(net)
    pages = [(s.role, s.failure) for s in steps if isinstance(s, Http)]
    own, other = (Role.TARGET, Failure.TIMEOUT), (Role.HARMLESS, None)
    assert pages == [own, own, other, own, other]


def test_a_plain_port_that_refuses_is_compared_with_https() -> None:
    net = FakeNet(names=NAMES)
    refused = net.tcp

    async def tcp(connect: TcpConnect) -> Tcp:
        step = await refused(connect)
        return replace(step, failure=Failure.REFUSED) if connect.port == 80 else step

    net.tcp = tcp  # type: ignore[method-assign]
    steps = both(net, replace(TASK, url=PLAIN))
    assert any(isinstance(s, Http) and s.url == URL and s.proven for s in steps)


@pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.TIMEOUT])
@pytest.mark.parametrize(
    ("url", "closed", "own", "other"),
    [(URL, {443}, 3, 0), (PLAIN, {80}, 3, 1), (PLAIN, {80, 443}, 3, 1), (PLAIN, {443}, 4, 1)],
)
def test_a_closed_port_is_tried_by_the_first_look_and_once_with_each_name_by_the_second(
    url: str, closed: set[int], failure: Failure, own: int, other: int
) -> None:
    net = FakeNet(names=NAMES)
    connects = net.tcp

    async def tcp(connect: TcpConnect) -> Tcp:
        step = await connects(connect)
        return replace(step, failure=failure) if connect.port in closed else step

    net.tcp = tcp  # type: ignore[method-assign]
    both(net, replace(TASK, url=url))
    port = 443 if url == URL else 80
    assert net.asked.count(f"tcp {GOOD}:{port}") == own
    assert net.asked.count(f"tcp {GOOD}:{523 - port}") == other


class Waiting(FakeNet):
    """Awaits concurrently; public resolvers answer only once a page was asked for."""

    def __init__(self) -> None:
        super().__init__(names=NAMES)
        self.fetched = asyncio.Event()

    async def dns(self, query: DnsQuery) -> Dns:
        if query.resolver.label != "system":
            await self.fetched.wait()
        return await super().dns(query)

    async def http(self, request: HttpRequest) -> Steps:
        self.fetched.set()
        return await super().http(request)

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        return list(await asyncio.gather(*asks))


def test_no_redirect_waits_for_the_resolvers_that_are_only_compared_with() -> None:
    there = "https://www.site.example/"
    fetched: list[str] = []

    class LastAnswersLate(Waiting):
        async def http(self, request: HttpRequest) -> Steps:
            fetched.append(request.url)
            steps = await FakeNet.http(self, request)
            if request.url == there:
                self.fetched.set()
            return steps

    net = LastAnswersLate()
    net.names = {**NAMES, ("system", "www.site.example"): (OTHER,)}
    net.pages = {(GOOD, URL, HOST): {"status": 303, "location": there}}

    async def scenario() -> Steps:
        async with asyncio.timeout(30):
            return await web.measure(TASK, net)

    steps = asyncio.run(scenario())
    assert fetched == [URL, there]
    assert len([s for s in steps if isinstance(s, Dns)]) == 6


def test_a_page_is_fetched_while_further_replies_are_awaited() -> None:
    class Listening(Waiting):
        """The system's first answer comes early, another one once a page was asked for."""

        async def early_dns(self, query: DnsQuery) -> tuple[Dns, Awaitable[Dns]]:
            step = await super().dns(query)
            later = Reply(at=0.2, rcode=3)

            async def whole() -> Dns:
                await self.fetched.wait()
                return replace(step, replies=(*step.replies, later))

            return step, whole()

    async def scenario() -> Steps:
        async with asyncio.timeout(30):
            return await web.measure(TASK, Listening())

    steps = asyncio.run(scenario())
    asked, tcp = steps[0], next(s for s in steps if isinstance(s, Tcp))
    assert isinstance(asked, Dns)
    assert [reply.rcode for reply in asked.replies] == [0, 3]
    assert (tcp.address, tcp.parent) == (GOOD, asked.id)
    assert web.needs_confirmation(TASK, steps)


def test_a_silent_query_for_ipv6_holds_up_no_page() -> None:
    class SilentFor6(Waiting):
        async def dns(self, query: DnsQuery) -> Dns:
            if query.type == "AAAA":
                await self.fetched.wait()
                return replace(await FakeNet.dns(self, query), failure=Failure.TIMEOUT, replies=())
            return await super().dns(query)

    async def scenario() -> Steps:
        async with asyncio.timeout(30):
            net = SilentFor6()
            net.ipv6 = True
            return await web.measure(TASK, net)

    steps = asyncio.run(scenario())
    assert [s.type for s in steps if isinstance(s, Dns)].count("AAAA") == 1
    assert any(isinstance(s, Http) for s in steps)


def test_it_is_told_once_when_only_comparisons_are_awaited() -> None:
    told: list[bool] = []

    class Silent(Waiting):
        async def http(self, request: HttpRequest) -> Steps:
            return await FakeNet.http(self, request)  # no resolver answers for it

    async def scenario() -> Steps:
        net = Silent()

        def only_compares() -> None:
            told.append(net.fetched.is_set())
            net.fetched.set()

        async with asyncio.timeout(30):
            return await web.measure(replace(TASK, only_compares=only_compares), net)

    assert len([s for s in asyncio.run(scenario()) if isinstance(s, Dns)]) == 3
    assert told == [False]


def test_no_page_waits_for_the_resolvers_that_are_only_compared_with() -> None:
    async def scenario() -> Steps:
        async with asyncio.timeout(30):  # it would wait for ever
            return await web.measure(TASK, Waiting())

    steps = asyncio.run(scenario())
    assert [type(s) for s in steps if not isinstance(s, Dns)] == [Tcp, Tls, Http]
    assert len([s for s in steps if isinstance(s, Dns)]) == 3
