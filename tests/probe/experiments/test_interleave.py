"""The order in which a name is offered between harmless ones, and when it stops."""

import asyncio

import pytest

from probe.experiments.interleave import interleave
from probe.failure import Failure
from probe.model import Role, Steps, Tls


def offers(
    failing: str | None = None, **options: object
) -> tuple[list[tuple[str, str, int]], bool]:
    made: list[tuple[str, str, int]] = []

    async def offer(name: str, role: Role, try_: int) -> Steps:
        made.append((name, role.value, try_))
        failure = Failure.TIMEOUT if name == failing else None
        return (Tls(address="192.0.2.1", port=443, sni=name, failure=failure),)

    harmless = options.pop("harmless", "h")
    answered = asyncio.run(interleave(offer, "t", harmless, **options))  # type: ignore[arg-type]
    return made, answered


def test_the_target_stands_between_harmless_names() -> None:
    made, answered = offers(tries=(1, 2), last=3)
    assert [name for name, _, _ in made] == ["h", "t", "h", "t", "h"]
    assert [try_ for _, _, try_ in made] == [1, 1, 2, 2, 3]
    assert [role for _, role, _ in made][:2] == ["harmless", "target"]
    assert answered


def test_without_a_harmless_name_the_target_is_offered_alone() -> None:
    assert offers(harmless=None, tries=(2, 3))[0] == [("t", "target", 2), ("t", "target", 3)]


@pytest.mark.parametrize(("stop", "names"), [(True, ["h"]), (False, ["h", "t", "h"])])
def test_an_unanswered_harmless_name_is_reported_and_may_stop(
    *, stop: bool, names: list[str]
) -> None:
    made, answered = offers("h", stop_unanswered=stop)
    assert [name for name, _, _ in made] == names
    assert not answered
    assert offers("t", stop_unanswered=stop)[1]
