import pytest

from probe.failure import Failure
from probe.model import Line, Record
from tests.build import GOOD, OTHER, again, control, dns, fetched, record, reference, tcp
from tests.probe.rules.check import holds, verdict_on

SILENT = tcp(failure=Failure.TIMEOUT)
REFUSED = tcp(failure=Failure.REFUSED)
ELSEWHERE = control(dns(GOOD), *fetched())
NOT_DIALLED = tcp("10.1.1.1", failure=Failure.NETWORK_UNREACHABLE, detail="not dialled: private")
BETWEEN = (dns(GOOD), reference(tcp(OTHER)), SILENT, *again(SILENT), reference(tcp(OTHER)))

TABLE = {
    "here only": (
        "tcp.fails_here_only",
        record(*BETWEEN, controls=(ELSEWHERE,)),
        True,
        "blocked tcp.timeout 0.874 by tcp.fails_here_only",
    ),
    "the control reached another address": (
        "tcp.fails_here_only",
        record(*BETWEEN, controls=(control(dns(OTHER), *fetched(OTHER)),)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "seen once": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, reference(tcp(OTHER)), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "it worked the second time": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, *again(tcp()), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "two different failures": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, *again(REFUSED), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "nothing else worked meanwhile": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, *again(SILENT), controls=(ELSEWHERE,), line=Line()),
        False,
        "inconclusive 0.5 by unclear.line_not_shown_to_work",
    ),
    "the reference beside it failed alike, others worked": (
        "tcp.fails_here_only",
        record(*BETWEEN, reference(SILENT), *again(SILENT), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.5 by unclear.line_not_shown_to_work",
    ),
    "not dialled for safety": (
        "tcp.fails_here_only",
        record(dns("10.1.1.1"), NOT_DIALLED, *again(NOT_DIALLED), controls=(ELSEWHERE,)),
        False,
        "blocked dns.bogon 0.856 by dns.bogon_here",
    ),
    "dead everywhere": (
        "tcp.dead_everywhere",
        record(dns(GOOD), REFUSED, *again(REFUSED), controls=(control(dns(GOOD), REFUSED),)),
        True,
        "down 0.856 by tcp.dead_everywhere",
    ),
    "refused here, silent there": (
        "tcp.dead_everywhere",
        record(dns(GOOD), REFUSED, *again(REFUSED), controls=(control(dns(GOOD), SILENT),)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict
