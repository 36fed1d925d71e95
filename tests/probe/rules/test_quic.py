"""Rules on QUIC: each where it matches and where it must not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Control, Quic, Record, Role, Step, TrustReason
from tests.build import GOOD, HARMLESS, HOST, OTHER, VALID, control, dns, page, record, tls
from tests.probe.rules.check import holds, verdict_on

TIMEOUT, ALERT = Failure.TIMEOUT, Failure.SSL_HANDSHAKE
WRONG = replace(VALID, valid=False, reason=TrustReason.HOSTNAME, named=False)


def quic(address: str = GOOD, failure: Failure | None = None, **more: object) -> Quic:
    step = Quic(address=address, port=443, sni=HOST, failure=failure, bytes_out=1200)
    fine = {} if failure else {"bytes_in": 3000, "trust": VALID}
    return replace(step, **{**fine, **more})


def harmless(step: Quic) -> Quic:
    return replace(step, role=Role.HARMLESS, sni=HARMLESS)


def reference(failure: Failure | None = None) -> Quic:
    return replace(quic(OTHER, failure), role=Role.REFERENCE, sni="quic.example")


def made(*steps: Step, controls: tuple[Control, ...] = ()) -> Record:
    return record(dns(GOOD), *steps, controls=controls, experiment="quic")


SILENT = quic(failure=TIMEOUT)
ICMP = quic(failure=Failure.REFUSED, icmp=111)
ANSWER, MUTE = harmless(quic()), harmless(SILENT)
SHOOK = control(quic())
DEAD_TOO = control(SILENT)

TABLE = {
    "this name": (
        "quic.fails_for_this_name",
        made(ANSWER, SILENT, ANSWER, SILENT, ANSWER),
        True,
        "blocked quic.timeout 0.92 by quic.fails_for_this_name",
    ),
    "an ICMP error for this name": (
        "quic.fails_for_this_name",
        made(ANSWER, ICMP, ANSWER, ICMP, ANSWER),
        True,
        "blocked quic.refused 0.92 by quic.fails_for_this_name",
    ),
    "a harmless name that is refused by the server counts": (
        "quic.fails_for_this_name",
        made(*[harmless(quic(failure=ALERT, bytes_in=50)), SILENT] * 2, ANSWER),
        True,
        "blocked quic.timeout 0.92 by quic.fails_for_this_name",
    ),
    "seen once": (
        "quic.fails_for_this_name",
        made(ANSWER, SILENT, ANSWER),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "no name is answered": (
        "quic.fails_for_this_name",
        made(MUTE, SILENT, MUTE, SILENT, MUTE),
        False,
        "inconclusive 0.7 by quic.no_name_is_answered",
    ),
    "not answered after": (
        "quic.fails_for_this_name",
        made(ANSWER, SILENT, ANSWER, SILENT, MUTE),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "answered once": (
        "quic.fails_for_this_name",
        made(ANSWER, SILENT, ANSWER, quic(), ANSWER, SILENT, ANSWER),
        False,
        "ok 0.97 by quic.answers_this_name",
    ),
    "the server's own alert": (
        "quic.fails_for_this_name",
        made(*[ANSWER, quic(failure=ALERT, bytes_in=50)] * 2, ANSWER),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "two different failures": (
        "quic.fails_for_this_name",
        made(ANSWER, SILENT, ANSWER, ICMP, ANSWER),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "this address, here": (
        "quic.fails_here_only",
        made(reference(), SILENT, MUTE, SILENT, tls(), reference(), controls=(SHOOK,)),
        True,
        "blocked quic.timeout 0.81 by quic.fails_here_only",
    ),
    "QUIC does not pass this line": (
        "quic.fails_here_only",
        made(reference(TIMEOUT), SILENT, SILENT, tls(), reference(TIMEOUT), controls=(SHOOK,)),
        False,
        "inconclusive 0.8 by quic.nowhere_on_this_line",
    ),
    "the machine may be dead": (
        "quic.fails_here_only",
        made(reference(), SILENT, SILENT, tls(failure=TIMEOUT), reference(), controls=(SHOOK,)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "another address worked there": (
        "quic.fails_here_only",
        made(reference(), SILENT, SILENT, tls(), reference(), controls=(control(quic(OTHER)),)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "it comes and goes there too": (
        "quic.fails_here_only",
        made(reference(), SILENT, SILENT, tls(), reference(), controls=(SHOOK, DEAD_TOO)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "answered": (
        "quic.answers_this_name",
        made(ANSWER, quic()),
        True,
        "ok 0.97 by quic.answers_this_name",
    ),
    "answered by another name's certificate": (
        "quic.answers_this_name",
        made(ANSWER, quic(trust=WRONG)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "answered where the system's resolver does not lead": (
        "quic.answers_this_name",
        made(quic(OTHER)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "broken everywhere": (
        "quic.broken_everywhere",
        made(SILENT, SILENT, controls=(DEAD_TOO,)),
        True,
        "down 0.828 by quic.broken_everywhere",
    ),
    "broken here": (
        "quic.broken_everywhere",
        made(SILENT, SILENT, controls=(SHOOK,)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "broken otherwise there": (
        "quic.broken_everywhere",
        made(SILENT, SILENT, controls=(control(ICMP),)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "not offered": ("quic.not_offered", made(page()), True, "inconclusive 0.9 by quic.not_offered"),
    "offered": (
        "quic.not_offered",
        made(page(headers={"alt-svc": 'h3=":443"'})),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "no page shows it": (
        "quic.not_offered",
        made(tls(failure=TIMEOUT)),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "nowhere on this line": (
        "quic.nowhere_on_this_line",
        made(SILENT, reference(TIMEOUT), MUTE),
        True,
        "inconclusive 0.8 by quic.nowhere_on_this_line",
    ),
    "the reference is answered": (
        "quic.nowhere_on_this_line",
        made(SILENT, reference(), MUTE),
        False,
        "inconclusive 0.7 by quic.no_name_is_answered",
    ),
    "no name is answered here": (
        "quic.no_name_is_answered",
        made(SILENT, MUTE),
        True,
        "inconclusive 0.7 by quic.no_name_is_answered",
    ),
    "a harmless one is": (
        "quic.no_name_is_answered",
        made(SILENT, ANSWER),
        False,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
    "nothing fits": (
        "quic.nothing_fits",
        made(SILENT),
        True,
        "inconclusive 0.4 by quic.nothing_fits",
    ),
}


@pytest.mark.parametrize(
    ("rule_id", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE)
)
def test_rule(rule_id: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule_id, seen) is expected
    assert verdict_on(seen) == verdict
