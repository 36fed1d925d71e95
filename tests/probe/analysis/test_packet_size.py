"""Silence that small packets break is the line's packet size, and no interference."""

from collections.abc import Sequence

import pytest

from probe.analysis.packet_size import answered_when_small, limited, may_be_lost, segment_for
from probe.failure import Failure
from probe.judge import judge
from probe.model import Control, Mechanism, Outcome, Step
from tests.build import (
    GOOD,
    again,
    control,
    dns,
    fetched,
    harmless,
    numbered,
    page,
    record,
    tcp,
    tls,
)

SILENT = (tcp(), tls(failure=Failure.TIMEOUT))
BOTH = (*SILENT, *again(*SILENT))
ALERT = (
    harmless(tcp()),
    harmless(tls(failure=Failure.SSL_HANDSHAKE, bytes_in=7)),
)
SMALL = (tcp(segment_limit=536), tls(), page())
ELSEWHERE = control(dns(GOOD), *fetched())


@pytest.mark.parametrize(
    ("steps", "may"),
    [
        (SILENT, False),
        (BOTH, True),
        ((*BOTH, *ALERT), True),
        ((*BOTH, harmless(tls())), False),  # a whole chain came, in large packets
        ((*BOTH, tcp(), tls()), False),
    ],
)
def test_a_second_look_is_for_silence_without_a_large_packet(
    steps: Sequence[Step],
    may: bool,  # noqa: FBT001 - a table
) -> None:
    assert may_be_lost(numbered(steps)) is may


def test_a_hello_of_the_usual_size_fits_into_a_small_segment() -> None:
    assert segment_for([tls()]) == 536
    assert segment_for([tls(bytes_out=1800)]) == 1220


def test_the_steps_of_a_second_look_are_those_over_its_connection() -> None:
    steps = numbered((*SILENT, *SMALL))
    assert limited(steps) == {3, 4, 5}
    assert answered_when_small(steps, steps[:2]) is steps[3]
    assert answered_when_small(numbered(SILENT), SILENT) is None


@pytest.mark.parametrize("controls", [(ELSEWHERE,), ()])
def test_a_site_that_answers_in_small_packets_is_not_accused(controls: tuple[Control, ...]) -> None:
    around = (dns(GOOD), *SILENT, *ALERT, *again(*SILENT), *ALERT)
    assert judge(record(*around, controls=controls)).outcome is Outcome.BLOCKED
    verdict = judge(record(*around, *SMALL, *SILENT, *ALERT, controls=controls))
    assert (verdict.outcome, verdict.mechanisms) == (Outcome.INCONCLUSIVE, ())
    assert "small packets" in verdict.rules[0].reason


def test_a_site_that_is_silent_to_small_packets_too_stays_blocked() -> None:
    lost = (tcp(segment_limit=536), tls(failure=Failure.TIMEOUT))
    around = (dns(GOOD), *SILENT, *ALERT, *again(*SILENT), *ALERT)
    verdict = judge(record(*around, *lost, controls=(ELSEWHERE,)))
    assert verdict.mechanisms == (Mechanism.TLS_TIMEOUT,)


def test_a_silence_that_ended_by_itself_is_no_matter_of_size() -> None:
    steps = numbered((*BOTH, *SMALL, tcp(), tls()))
    assert answered_when_small(steps, steps[:4]) is None


def test_a_page_over_small_packets_alone_is_not_seen_as_in_a_browser() -> None:
    verdict = judge(record(dns(GOOD), *BOTH, *SMALL))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "unclear.packet_size"
