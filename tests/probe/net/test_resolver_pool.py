"""Who never answers is no longer asked; the system's own always is."""

from probe.experiments.interface import Resolver
from probe.net.resolver_pool import ResolverPool

ONE = Resolver("1.1.1.1", "1.1.1.1")
DOH = Resolver("1.1.1.1", "1.1.1.1", 443, "doh", "one.one.one.one")
OWN = (("192.0.2.1", 53), ("192.0.2.2", 53))


def test_the_system_comes_first() -> None:
    roster = ResolverPool(OWN, (ONE, DOH))
    assert roster.resolvers == (Resolver("system", "192.0.2.1"), ONE, DOH)


def test_three_silences_and_never_a_word_is_dead() -> None:
    roster = ResolverPool(OWN, (ONE, DOH))
    for _ in range(3):
        assert DOH in roster.resolvers
        roster.note(DOH, answered=False)
    assert roster.resolvers[1:] == (ONE,)
    assert roster.dead == ("1.1.1.1 doh",)


def test_who_answered_once_is_never_dead() -> None:
    roster = ResolverPool(OWN, (ONE,))
    roster.note(ONE, answered=True)
    for _ in range(9):
        roster.note(ONE, answered=False)
    assert (ONE in roster.resolvers, roster.dead) == (True, ())


def test_when_the_systems_first_is_silent_its_second_is_asked() -> None:
    roster = ResolverPool(OWN, ())
    first, second = Resolver("system", "192.0.2.1"), Resolver("system", "192.0.2.2")
    roster.note(first, answered=False)
    roster.note(first, answered=True)
    roster.note(first, answered=False)
    assert roster.resolvers == (first,)
    roster.note(first, answered=False)
    roster.note(first, answered=False)  # asked before it was left: changes nothing
    assert roster.resolvers == (second,)
    roster.note(second, answered=False)
    roster.note(second, answered=False)
    assert roster.resolvers == (first,)


def test_an_only_resolver_stays() -> None:
    roster = ResolverPool(OWN[:1], ())
    for _ in range(5):
        roster.note(Resolver("system", "192.0.2.1"), answered=False)
    assert roster.resolvers == (Resolver("system", "192.0.2.1"),)


def test_none_at_all() -> None:
    roster = ResolverPool((), ())
    assert roster.resolvers == ()
    roster.note(ONE, answered=False)


def silent(roster: ResolverPool, *resolvers: Resolver) -> None:
    for one in resolvers:
        for _ in range(2):
            roster.note(one, answered=False)


def test_where_none_of_the_systems_is_heard_each_is_tried_once_over_tcp() -> None:
    roster = ResolverPool(OWN, (ONE,))
    first, second = (Resolver("system", *one) for one in OWN)
    silent(roster, first)
    assert roster.untried(first) is None  # the other one was not asked yet
    silent(roster, second)
    over_tcp = Resolver("system", *OWN[0], "tcp")
    assert roster.untried(first) == over_tcp
    assert roster.untried(first) is None
    assert (roster.untried(ONE), roster.untried(over_tcp)) == (None, None)
    assert roster.resolvers[0] == first


def test_what_answers_over_tcp_alone_is_asked_there_until_udp_is_heard() -> None:
    roster = ResolverPool(OWN[:1], ())
    udp, tcp = Resolver("system", *OWN[0]), Resolver("system", *OWN[0], "tcp")
    silent(roster, udp)
    roster.note(tcp, answered=True)
    silent(roster, tcp, udp)
    assert roster.resolvers == (tcp,)
    roster.note(udp, answered=True)
    assert roster.resolvers == (udp,)


def test_what_was_ever_heard_over_udp_is_not_tried_over_tcp() -> None:
    roster = ResolverPool(OWN[:1], ())
    udp = Resolver("system", *OWN[0])
    roster.note(udp, answered=True)
    silent(roster, udp)
    assert roster.untried(udp) is None
