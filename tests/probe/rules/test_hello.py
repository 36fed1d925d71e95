"""Rules on ClientHellos: each where it matches and where it must not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Control, Record, Step, Tls
from tests.build import GOOD, control, dns, harmless, record, tcp, tls
from tests.probe.rules.check import holds, verdict_on

TIMEOUT, ALERT = Failure.TIMEOUT, Failure.SSL_HANDSHAKE
SILENT = tls(failure=TIMEOUT)


def offered(
    hello: str,
    mine: Failure | None = None,
    other: Failure | None = None,
    times: int = 2,
    *,
    acknowledged: bool | None = None,
) -> list[Step]:
    def one(failure: Failure | None) -> Tls:
        got = 7 if failure is ALERT else None
        step = tls(failure=failure, bytes_in=got)
        return replace(step, hello=hello, acknowledged=acknowledged)

    around = harmless(one(other))
    return [step for _ in range(times) for step in (around, one(mine), around)]


def made(*groups: list[Step], controls: tuple[Control, ...] = ()) -> Record:
    steps = (s for g in groups for s in g)
    return record(dns("93.184.216.34"), *steps, experiment="hello", controls=controls)


TABLE = {
    "stopped": (
        "hello.name_stopped",
        made(offered("default", TIMEOUT)),
        True,
        "blocked tls.timeout 0.93 by hello.name_stopped",
    ),
    "and the control shakes hands": (
        "hello.broken_everywhere",
        made(offered("default", TIMEOUT), controls=(control(dns(GOOD), tcp(), tls()),)),
        False,
        "blocked tls.timeout 0.93 by hello.name_stopped",
    ),
    "for the control too": (
        "hello.broken_everywhere",
        made(offered("default", TIMEOUT), controls=(control(dns(GOOD), tcp(), SILENT),)),
        True,
        "inconclusive 0.5 by verdict.contradicted",
    ),
    "for the control too, and for any name": (
        "hello.broken_everywhere",
        made(offered("default", TIMEOUT, TIMEOUT), controls=(control(dns(GOOD), tcp(), SILENT),)),
        True,
        "down 0.828 by hello.broken_everywhere",
    ),
    "in another way for the control": (
        "hello.broken_everywhere",
        made(offered("default", Failure.RESET), controls=(control(dns(GOOD), tcp(), SILENT),)),
        False,
        "blocked tls.reset 0.93 by hello.name_stopped",
    ),
    "taken by a server that is silent": (
        "hello.name_stopped",
        made(offered("default", TIMEOUT, acknowledged=True)),
        False,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
    "stopped once": (
        "hello.name_stopped",
        made(offered("default", TIMEOUT, times=1)),
        False,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
    "for any name": (
        "hello.name_stopped",
        made(offered("default", TIMEOUT, TIMEOUT)),
        False,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
    "refused by alert": (
        "hello.name_stopped",
        made(offered("default", ALERT)),
        False,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
    "another hello": (
        "hello.name_stopped",
        made(offered("tls12", TIMEOUT)),
        False,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
    "usual": (
        "hello.usual_one_answered",
        made(offered("default")),
        True,
        "ok 0.9 by hello.usual_one_answered",
    ),
    "unusual": (
        "hello.usual_one_answered",
        made(offered("default", TIMEOUT)),
        False,
        "blocked tls.timeout 0.93 by hello.name_stopped",
    ),
    "some": (
        "hello.only_some_stopped",
        made(offered("default", TIMEOUT), offered("split")),
        True,
        "blocked tls.timeout 0.93 by hello.name_stopped",
    ),
    "none": (
        "hello.only_some_stopped",
        made(offered("default"), offered("split")),
        False,
        "ok 0.9 by hello.usual_one_answered",
    ),
    "every": (
        "hello.every_one_stopped",
        made(offered("default", TIMEOUT), offered("split", TIMEOUT)),
        True,
        "blocked tls.timeout 0.93 by hello.name_stopped",
    ),
    "every one that the server takes": (
        "hello.every_one_stopped",
        made(
            offered("default", TIMEOUT), offered("split", TIMEOUT), offered("tls13", ALERT, ALERT)
        ),
        True,
        "blocked tls.timeout 0.93 by hello.name_stopped",
    ),
    "not every": (
        "hello.every_one_stopped",
        made(offered("default", TIMEOUT), offered("tls12", TIMEOUT), offered("split")),
        False,
        "blocked tls.timeout 0.93 by hello.name_stopped",
    ),
    "a shape": (
        "hello.stopped_for_any_name",
        made(offered("default"), offered("ech", TIMEOUT, TIMEOUT)),
        True,
        "ok 0.9 by hello.usual_one_answered",
    ),
    "the server's word on a shape": (
        "hello.stopped_for_any_name",
        made(offered("default"), offered("tls13", ALERT, ALERT)),
        False,
        "ok 0.9 by hello.usual_one_answered",
    ),
    "a dead server": (
        "hello.stopped_for_any_name",
        made(offered("default", TIMEOUT, TIMEOUT), offered("ech", TIMEOUT, TIMEOUT)),
        False,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
    "one look": (
        "hello.stopped_once",
        made(offered("default", times=1)[:1], offered("default", TIMEOUT, TIMEOUT)[1:3]),
        True,
        "inconclusive 0.55 by hello.stopped_once",
    ),
    "one look, and the address does not connect": (
        "hello.stopped_once",
        made(
            offered("default", times=1)[:1],
            [SILENT, harmless(tcp(failure=TIMEOUT))],
        ),
        True,
        "inconclusive 0.55 by hello.stopped_once",
    ),
    "answered afterwards": (
        "hello.stopped_once",
        made(offered("default", TIMEOUT, times=1)),
        False,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
    "no address": ("hello.nothing_sent", made(), True, "inconclusive 0.5 by hello.nothing_sent"),
    "something": (
        "hello.nothing_sent",
        made(offered("default")),
        False,
        "ok 0.9 by hello.usual_one_answered",
    ),
    "nothing": (
        "hello.nothing_to_compare",
        made(offered("default", TIMEOUT, TIMEOUT)),
        True,
        "inconclusive 0.4 by hello.nothing_to_compare",
    ),
}


@pytest.mark.parametrize(
    ("rule_id", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE)
)
def test_rule(rule_id: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule_id, seen) is expected
    assert verdict_on(seen) == verdict
