"""Which connections are closed for others."""

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from collector.connections import SAMPLE, Connection, ConnectionPool, Use


class Client:
    """A connection that notes when it is closed."""

    def __init__(self, network: str | None = None) -> None:
        self.closed = False
        self.connection = Connection(network, self.close)

    def close(self) -> None:
        assert not self.closed
        self.closed = True


def filled(pool: ConnectionPool, *networks: str | None) -> list[Client]:
    clients = [Client(network) for network in networks]
    for client in clients:
        assert pool.add(client.connection)
    return clients


def test_the_oldest_idle_one_is_closed_for_a_newcomer() -> None:
    pool = ConnectionPool(3, 3)
    clients = filled(pool, "a", "b", "c", "d")
    assert [client.closed for client in clients] == [True, False, False, False]
    assert (len(pool), pool.evicted, pool.refused) == (3, 1, 0)


def test_one_that_is_worked_for_is_never_closed() -> None:
    pool = ConnectionPool(2, 2)
    clients = filled(pool, "a", "b")
    for client in clients:
        client.connection.use = Use.WORK
    assert not pool.add(Client("c").connection)
    assert (len(pool), pool.refused) == (2, 1)
    clients[1].connection.use = Use.TRANSFER
    assert pool.add(Client("c").connection)
    assert [client.closed for client in clients] == [False, True]


def test_an_idle_one_is_closed_before_one_that_receives() -> None:
    pool = ConnectionPool(2, 2)
    first, second = filled(pool, "a", "b")
    first.connection.use = Use.TRANSFER
    filled(pool, "c")
    assert (first.closed, second.closed) == (False, True)


def test_a_network_pushes_out_its_own() -> None:
    pool = ConnectionPool(10, 2)
    (honest,) = filled(pool, "honest")
    crowd = filled(pool, *["crowd"] * 5)
    assert not honest.closed
    assert [client.closed for client in crowd] == [True, True, True, False, False]


def test_the_network_with_the_most_is_closed_first() -> None:
    pool = ConnectionPool(10, 10)
    (honest,) = filled(pool, "honest")
    filled(pool, *["crowd"] * 9, *["other"] * 4)
    assert not honest.closed


def test_a_proxy_has_no_limit_of_its_own() -> None:
    pool = ConnectionPool(10, 2)
    assert not any(client.closed for client in filled(pool, *[None] * 10))


def test_a_flood_from_everywhere_leaves_each_newcomer_some_time() -> None:
    pool = ConnectionPool(200, 10)
    filled(pool, *(f"old{n}" for n in range(200)))
    (honest,) = filled(pool, "honest")
    filled(pool, *(f"new{n}" for n in range(100)))
    assert not honest.closed
    assert len(pool) == 200 > SAMPLE


def _work(client: Client) -> None:
    client.connection.use = Use.WORK


def _rest(client: Client) -> None:
    client.connection.use = Use.NOTHING


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "drop", "work", "idle"]), st.integers(0, 5)), max_size=80
)


@given(STEPS)
def test_the_counts_are_those_of_the_open_connections(steps: list[tuple[str, int]]) -> None:
    pool = ConnectionPool(6, 3)
    clients: list[Client] = []

    def pick(number: int, do: Callable[[Client], object]) -> None:
        if clients:
            do(clients[number % len(clients)])

    for what, number in steps:
        if what == "add":
            client = Client(None if number == 5 else str(number % 3))
            if pool.add(client.connection):
                clients.append(client)
        elif what == "drop":
            pick(number, lambda one: pool.drop(one.connection))
        else:
            pick(number, _work if what == "work" else _rest)
        open_ = [one for one in clients if one.connection.index >= 0]
        assert len(pool) == len(open_) <= 6
        assert pool.networks().total() == len(open_)
        assert all(n <= 3 for network, n in pool.networks().items() if network is not None)
        assert not any(one.closed for one in open_)


@pytest.mark.parametrize("use", [Use.NOTHING, Use.TRANSFER])
def test_dropping_twice_is_nothing(use: Use) -> None:
    pool = ConnectionPool(2, 2)
    (client,) = filled(pool, "a")
    client.connection.use = use
    pool.drop(client.connection)
    pool.drop(client.connection)
    assert len(pool) == 0
