import pytest

from probe.failure import Failure
from probe.model import Line, Record
from tests.build import (
    FORGED,
    GOOD,
    OTHER,
    PLAIN,
    URL,
    again,
    control,
    dns,
    doh,
    fetched,
    page,
    record,
    tcp,
    tls,
)
from tests.probe.rules.check import holds, verdict_on

SILENT = (tcp(), tls(failure=Failure.TIMEOUT))
ELSEWHERE = control(dns(GOOD), *fetched())
CUT = page(URL, failure=Failure.TIMEOUT, received_bytes=0)

TABLE = {
    "seen once": (
        "unclear.seen_once",
        record(dns(GOOD), *SILENT),
        True,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "seen twice": (
        "unclear.seen_once",
        record(dns(GOOD), *SILENT, *again(*SILENT)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "no control": (
        "unclear.no_control",
        record(dns(GOOD), *SILENT),
        True,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "a control": (
        "unclear.no_control",
        record(dns(GOOD), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "the line was not shown to work": (
        "unclear.line_not_shown_to_work",
        record(dns(GOOD), *SILENT, line=Line()),
        True,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "the line works": (
        "unclear.line_not_shown_to_work",
        record(dns(GOOD), *SILENT),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "slow": (
        "unclear.slow",
        record(dns(GOOD), tcp(), tls(), page(URL, received_bytes=19_000, complete=False)),
        False,
        "ok 0.99 by ok.proven",
    ),
    "the line failed only for another resolver": (
        "unclear.line_not_shown_to_work",
        record(dns(GOOD), doh(failure=Failure.TIMEOUT, replies=()), *fetched(), line=Line()),
        False,
        "ok 0.99 by ok.proven",
    ),
    "a plain page alone": (
        "unclear.plain_page",
        record(dns(GOOD), tcp(port=80), page(PLAIN), tcp(failure=Failure.REFUSED), url=PLAIN),
        True,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "no plain page": (
        "unclear.plain_page",
        record(dns(GOOD), tcp(port=80, failure=Failure.TIMEOUT), url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "whose certificate": (
        "unclear.whose_certificate",
        record(dns(GOOD), tls(trust=FORGED)),
        True,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "a good certificate": (
        "unclear.whose_certificate",
        record(dns(GOOD), *fetched()),
        False,
        "ok 0.99 by ok.proven",
    ),
    "nothing fits": (
        "unclear.nothing_fits",
        record(dns(GOOD)),
        True,
        "inconclusive 0.5 by unclear.no_control",
    ),
}


REASONS = {
    "where it ended": (
        record(dns(GOOD), *SILENT),
        "TLS failed (generic_timeout_error); a control measurement is missing",
    ),
    "a control that does not help": (
        record(dns(GOOD), *SILENT, controls=(control(dns(OTHER), *fetched(OTHER)),)),
        "TLS failed (generic_timeout_error); neither this nor the control measurement",
    ),
    "a plain page": (record(dns(GOOD), tcp(port=80), page(PLAIN), url=PLAIN), "A page came over"),
    "a certificate": (record(dns(GOOD), tls(trust=FORGED)), "(unknown_authority)"),
}


@pytest.mark.parametrize(("seen", "words"), REASONS.values(), ids=list(REASONS))
def test_an_unclear_reason_names_what_was_missing(seen: Record, words: str) -> None:
    from probe.judge import judge

    assert any(words in hit.reason for hit in judge(seen).rules)


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict


def test_a_page_that_began_and_stalled_is_slow() -> None:
    from msgspec.structs import replace

    stalled = replace(page(URL), failure=Failure.TIMEOUT, received_bytes=4000, complete=False)
    seen = record(dns(GOOD), tcp(), tls(), stalled)
    assert holds("unclear.slow", seen)
    assert verdict_on(seen) == "inconclusive 0.6 by unclear.slow"


def test_a_page_of_which_little_came_in_time_was_not_seen() -> None:
    from msgspec.structs import replace

    drip = replace(page(URL), received_bytes=4000, complete=False)
    seen = record(dns(GOOD), tcp(), tls(), drip)
    assert verdict_on(seen) == "inconclusive 0.6 by unclear.slow"


def test_a_slow_page_names_the_throttle_experiment_and_accuses_no_network() -> None:
    from msgspec.structs import replace

    from probe.judge import judge
    from probe.model import Outcome

    drip = replace(page(URL), received_bytes=20_000, complete=False)
    verdict = judge(record(dns(GOOD), tcp(), tls(), drip))
    assert verdict.outcome is Outcome.OK
    assert verdict.mechanisms == ()
    (note,) = [hit for hit in verdict.rules if hit.id == "note.slow_page"]
    assert f"qazprobe run -e throttle {URL}" in note.reason
    stalled = replace(drip, failure=Failure.TIMEOUT)
    seen = (dns(GOOD), tcp(), tls(), stalled)
    twice = record(*seen, *again(*seen), controls=(ELSEWHERE,))
    verdict = judge(twice)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert any(f"throttle {URL}" in hit.reason for hit in verdict.rules)


def test_a_connection_frozen_within_the_first_record_is_slow_and_not_blocked() -> None:
    """Twelve kilobytes came, and not one byte of them can be read; the control has the page."""
    from msgspec.structs import replace

    from probe.judge import judge
    from probe.model import Outcome

    frozen = replace(
        page(URL),
        status=None,
        title=None,
        sha256=None,
        received_bytes=0,
        bytes_in=12_126,
        complete=False,
        failure=Failure.TIMEOUT,
    )
    seen = (dns(GOOD), tcp(), tls(), frozen)
    verdict = judge(record(*seen, *again(*seen), controls=(ELSEWHERE,)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "unclear.slow"
