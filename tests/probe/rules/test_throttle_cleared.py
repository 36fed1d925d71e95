"""A name is cleared only with the limits that could not have been seen, by kind."""

from pathlib import Path

import pytest

from probe.judge import judge
from probe.lab.cases import read

CASES = Path(__file__).parents[2] / "cases" / "throttle"


@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        ("open", ("above 175 kbit/s", "lets 34 kB through", "after 35 kB or 0.1 s")),
        ("looked_later", ("above 1.7 Mbit/s", "lets 241 kB through", "after 353 kB or 4.2 s")),
        ("not_slow_at_own_address", ("above", "through first", "one on the address itself")),
    ],
)
def test_the_reason_names_every_kind_of_limit_that_was_not_seen(
    case: str, kinds: tuple[str, ...]
) -> None:
    reason = judge(read(CASES / f"{case}.json").record).rules[0].reason
    for kind in kinds:
        assert kind in reason
