"""Each rule about hellos, once where it holds and where it must not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Record, Step, Tls
from tests.build import dns, harmless, record, tls
from tests.probe.rules.check import holds

TIMEOUT, ALERT = Failure.TIMEOUT, Failure.SSL_HANDSHAKE


def offered(
    hello: str, mine: Failure | None = None, other: Failure | None = None, times: int = 2
) -> list[Step]:
    def one(failure: Failure | None) -> Tls:
        got = 7 if failure is ALERT else None
        return replace(tls(failure=failure, bytes_in=got), hello=hello)

    around = harmless(one(other))
    return [step for _ in range(times) for step in (around, one(mine), around)]


def made(*groups: list[Step]) -> Record:
    return record(dns("93.184.216.34"), *(s for g in groups for s in g), experiment="hello")


TABLE = {
    "stopped": ("hello.name_stopped", made(offered("default", TIMEOUT)), True),
    "stopped once": ("hello.name_stopped", made(offered("default", TIMEOUT, times=1)), False),
    "for any name": ("hello.name_stopped", made(offered("default", TIMEOUT, TIMEOUT)), False),
    "refused by alert": ("hello.name_stopped", made(offered("default", ALERT)), False),
    "another hello": ("hello.name_stopped", made(offered("tls12", TIMEOUT)), False),
    "usual": ("hello.usual_one_answered", made(offered("default")), True),
    "unusual": ("hello.usual_one_answered", made(offered("default", TIMEOUT)), False),
    "some": (
        "hello.only_some_stopped",
        made(offered("default", TIMEOUT), offered("split")),
        True,
    ),
    "none": ("hello.only_some_stopped", made(offered("default"), offered("split")), False),
    "every": (
        "hello.every_one_stopped",
        made(offered("default", TIMEOUT), offered("split", TIMEOUT)),
        True,
    ),
    "every one that the server takes": (
        "hello.every_one_stopped",
        made(
            offered("default", TIMEOUT), offered("split", TIMEOUT), offered("tls13", ALERT, ALERT)
        ),
        True,
    ),
    "not every": (
        "hello.every_one_stopped",
        made(offered("default", TIMEOUT), offered("tls12", TIMEOUT), offered("split")),
        False,
    ),
    "a shape": (
        "hello.stopped_for_any_name",
        made(offered("default"), offered("ech", TIMEOUT, TIMEOUT)),
        True,
    ),
    "the server's word on a shape": (
        "hello.stopped_for_any_name",
        made(offered("default"), offered("tls13", ALERT, ALERT)),
        False,
    ),
    "a dead server": (
        "hello.stopped_for_any_name",
        made(offered("default", TIMEOUT, TIMEOUT), offered("ech", TIMEOUT, TIMEOUT)),
        False,
    ),
    "nothing": ("hello.nothing_to_compare", made(offered("default", TIMEOUT, TIMEOUT)), True),
}


@pytest.mark.parametrize(("rule_id", "seen", "expected"), TABLE.values(), ids=TABLE.keys())
def test_a_rule_holds_where_it_should(rule_id: str, seen: Record, *, expected: bool) -> None:
    assert holds(rule_id, seen) is expected
