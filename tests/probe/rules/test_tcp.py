import pytest

from probe.failure import Failure
from probe.model import Line, Record
from tests.build import GOOD, OTHER, again, control, dns, fetched, record, reference, tcp
from tests.probe.rules.check import holds

SILENT = tcp(failure=Failure.TIMEOUT)
REFUSED = tcp(failure=Failure.REFUSED)
ELSEWHERE = control(dns(GOOD), *fetched())
NOT_DIALLED = tcp("10.1.1.1", failure=Failure.NETWORK_UNREACHABLE, detail="not dialled: private")
BETWEEN = (dns(GOOD), reference(tcp(OTHER)), SILENT, *again(SILENT), reference(tcp(OTHER)))

TABLE = {
    "here only": ("tcp.fails_here_only", record(*BETWEEN, controls=(ELSEWHERE,)), True),
    "the control reached another address": (
        "tcp.fails_here_only",
        record(*BETWEEN, controls=(control(dns(OTHER), *fetched(OTHER)),)),
        False,
    ),
    "seen once": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, reference(tcp(OTHER)), controls=(ELSEWHERE,)),
        False,
    ),
    "it worked the second time": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, *again(tcp()), controls=(ELSEWHERE,)),
        False,
    ),
    "two different failures": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, *again(REFUSED), controls=(ELSEWHERE,)),
        False,
    ),
    "nothing else worked meanwhile": (
        "tcp.fails_here_only",
        record(dns(GOOD), SILENT, *again(SILENT), controls=(ELSEWHERE,), line=Line()),
        False,
    ),
    "the reference beside it failed alike, others worked": (
        "tcp.fails_here_only",
        record(*BETWEEN, reference(SILENT), *again(SILENT), controls=(ELSEWHERE,)),
        False,
    ),
    "not dialled for safety": (
        "tcp.fails_here_only",
        record(dns("10.1.1.1"), NOT_DIALLED, *again(NOT_DIALLED), controls=(ELSEWHERE,)),
        False,
    ),
    "dead everywhere": (
        "tcp.dead_everywhere",
        record(dns(GOOD), REFUSED, *again(REFUSED), controls=(control(dns(GOOD), REFUSED),)),
        True,
    ),
    "refused here, silent there": (
        "tcp.dead_everywhere",
        record(dns(GOOD), REFUSED, *again(REFUSED), controls=(control(dns(GOOD), SILENT),)),
        False,
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert holds(rule, seen) is expected
