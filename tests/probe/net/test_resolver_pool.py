"""Who never answers is no longer asked; the system's own always is."""

from probe.experiments.interface import Resolver
from probe.net.resolver_pool import ResolverPool

ONE = Resolver("1.1.1.1", "1.1.1.1")
DOH = Resolver("1.1.1.1", "1.1.1.1", 443, "doh", "one.one.one.one")
OWN = (("192.0.2.1", 53), ("192.0.2.2", 53))


def test_the_system_comes_first() -> None:
    pool = ResolverPool(OWN, (ONE, DOH))
    assert pool.resolvers == (Resolver("system", "192.0.2.1"), ONE, DOH)


def test_three_timeouts_without_an_answer_drop_a_resolver() -> None:
    pool = ResolverPool(OWN, (ONE, DOH))
    for _ in range(3):
        assert DOH in pool.resolvers
        pool.note(DOH, answered=False)
    assert pool.resolvers[1:] == (ONE,)
    assert pool.dead == ("1.1.1.1 doh",)


def test_a_resolver_that_answered_once_is_not_dropped() -> None:
    pool = ResolverPool(OWN, (ONE,))
    pool.note(ONE, answered=True)
    for _ in range(9):
        pool.note(ONE, answered=False)
    assert (ONE in pool.resolvers, pool.dead) == (True, ())


def test_after_timeouts_of_the_systems_first_its_second_is_used() -> None:
    pool = ResolverPool(OWN, ())
    first, second = Resolver("system", "192.0.2.1"), Resolver("system", "192.0.2.2")
    pool.note(first, answered=False)
    pool.note(first, answered=True)
    pool.note(first, answered=False)
    assert pool.resolvers == (first,)
    pool.note(first, answered=False)
    pool.note(first, answered=False)  # asked before it was left: changes nothing
    assert pool.resolvers == (second,)
    pool.note(second, answered=False)
    pool.note(second, answered=False)
    assert pool.resolvers == (first,)


def test_an_only_resolver_stays() -> None:
    pool = ResolverPool(OWN[:1], ())
    for _ in range(5):
        pool.note(Resolver("system", "192.0.2.1"), answered=False)
    assert pool.resolvers == (Resolver("system", "192.0.2.1"),)


def test_none_at_all() -> None:
    pool = ResolverPool((), ())
    assert pool.resolvers == ()
    pool.note(ONE, answered=False)


def silent(pool: ResolverPool, *resolvers: Resolver) -> None:
    for one in resolvers:
        for _ in range(2):
            pool.note(one, answered=False)


def test_if_none_of_the_systems_answers_each_is_tried_once_over_tcp() -> None:
    pool = ResolverPool(OWN, (ONE,))
    first, second = (Resolver("system", *one) for one in OWN)
    silent(pool, first)
    assert pool.untried(first) is None  # the other one was not asked yet
    silent(pool, second)
    over_tcp = Resolver("system", *OWN[0], "tcp")
    assert pool.untried(first) == over_tcp
    assert pool.untried(first) is None
    assert (pool.untried(ONE), pool.untried(over_tcp)) == (None, None)
    assert pool.resolvers[0] == first


def test_a_resolver_that_answers_over_tcp_is_used_there_until_udp_answers() -> None:
    pool = ResolverPool(OWN[:1], ())
    udp, tcp = Resolver("system", *OWN[0]), Resolver("system", *OWN[0], "tcp")
    silent(pool, udp)
    pool.note(tcp, answered=True)
    silent(pool, tcp, udp)
    assert pool.resolvers == (tcp,)
    pool.note(udp, answered=True)
    assert pool.resolvers == (udp,)


def test_a_resolver_that_answered_over_udp_is_not_tried_over_tcp() -> None:
    pool = ResolverPool(OWN[:1], ())
    udp = Resolver("system", *OWN[0])
    pool.note(udp, answered=True)
    silent(pool, udp)
    assert pool.untried(udp) is None


def test_an_encrypted_resolver_that_fell_silent_is_dropped_until_it_answers() -> None:
    pool = ResolverPool(OWN, (ONE, DOH))
    for one in (ONE, DOH):
        pool.note(one, answered=True)
        for _ in range(3):
            pool.note(one, answered=False)
    # In the clear a name may be what is not answered; in TLS nobody on the path sees it.
    assert (ONE in pool.resolvers, DOH in pool.resolvers) == (True, False)
    assert pool.dead == ()
    pool.note(DOH, answered=True)
    assert DOH in pool.resolvers
