from collector.throughput import allowance
from collector.throughput.allowance import DAY, ClientAllowance


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_client_moves_at_its_rate_over_all_connections() -> None:
    clock = Clock()
    allowed = ClientAllowance(1000.0, None, clock)
    assert allowed.move("a", 500) == 0.5
    assert allowed.move("a", 500) == 1.0
    assert allowed.move("b", 100) == 0.1
    clock.now = 10.0
    assert allowed.move("a", 250) == 0.25


def test_a_day_has_an_amount_and_another_day_has_it_again() -> None:
    clock = Clock()
    allowed = ClientAllowance(None, 1000, clock)
    assert allowed.move("a", 999) == 0.0
    assert not allowed.is_spent("a")
    allowed.move("a", 1)
    allowed.leave("a")
    assert allowed.is_spent("a")
    assert not allowed.is_spent("b")
    clock.now = DAY
    assert not allowed.is_spent("a")


def test_no_address_is_kept() -> None:
    allowed = ClientAllowance(1e6, 1000, Clock())
    allowed.move("203.0.113.7", 10)
    allowed.leave("203.0.113.7")
    assert "203.0.113.7" not in repr(vars(allowed))


def test_the_number_of_clients_that_are_counted_is_limited() -> None:
    allowed = ClientAllowance(None, 10, Clock())
    for number in range(allowance.MEMORY + 5):
        allowed.move(str(number), 10)
    assert not allowed.is_spent("0")
    assert allowed.is_spent(str(allowance.MEMORY + 4))


def test_without_limits_everything_goes() -> None:
    allowed = ClientAllowance(None, None, Clock())
    assert allowed.move("a", 10**12) == 0.0
    assert not allowed.is_spent("a")
