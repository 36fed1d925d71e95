import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Line, Record, Role, Step, Tls, Trust, TrustReason
from tests.build import (
    EXPIRED,
    GOOD,
    OTHER,
    VALID,
    again,
    control,
    dns,
    fetched,
    harmless,
    record,
    reference,
    tcp,
    tls,
)
from tests.probe.rules.check import holds

TIMEOUT, ALERT = Failure.TIMEOUT, Failure.SSL_HANDSHAKE
ELSEWHERE = control(dns(GOOD), *fetched())
SILENT = (tcp(), tls(failure=TIMEOUT))
ANSWERED = (harmless(tcp()), harmless(tls(trust=None)))
MUTE = (harmless(tcp()), harmless(tls(failure=TIMEOUT)))
DEAD = harmless(tcp(failure=TIMEOUT))
DEFAULT = replace(VALID, valid=False, named=False, leaf_key="default")
WRONG = replace(VALID, valid=False, reason=TrustReason.HOSTNAME, named=False)


def alerted(by: str) -> tuple[Step, ...]:
    return (tcp(), tls(failure=ALERT, alert=112, alert_by=by, bytes_in=7))


def seen(*between: Step, own: tuple[Step, ...] = SILENT) -> tuple[Step, ...]:
    return (dns(GOOD), *own, *between, *again(*own), *between)


HEARD = (tcp(), tls(failure=TIMEOUT, acknowledged=True))
RESET = (tcp(), tls(failure=Failure.RESET))
REFUSED = tls(failure=ALERT, alert=40, alert_by="peer", bytes_in=7)


def stranger(step: Tls, trust: Trust = WRONG) -> tuple[Step, ...]:
    """The name at an unrelated server, between two harmless ones."""
    around = harmless(tls(OTHER, sni="h", trust=trust))
    return around, replace(step, role=Role.NEUTRAL), around


CUT = tcp(failure=Failure.RESET)

TABLE = {
    "this name": ("tls.fails_for_this_name", record(*seen(*ANSWERED)), True),
    "no name is answered": ("tls.fails_for_this_name", record(*seen(*MUTE)), False),
    "another address answers": (
        "tls.fails_for_this_name",
        record(*seen(harmless(tcp(OTHER)), harmless(tls(OTHER)))),
        False,
    ),
    "a server may refuse a name by alert": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=alerted("peer"))),
        False,
    ),
    "silent, but it confirmed the hello": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=HEARD)),
        False,
    ),
    "silent, confirmed the hello, and answers the control": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=HEARD), controls=(ELSEWHERE,)),
        True,
    ),
    "a reset, and the unrelated server answers this name": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=RESET), *stranger(tls(OTHER, trust=WRONG))),
        False,
    ),
    "an alert at another door of the same house": (
        "tls.fails_for_this_name",
        record(
            *seen(harmless(tcp()), harmless(tls(trust=DEFAULT)), own=alerted("peer")),
            *stranger(replace(REFUSED, address=OTHER), trust=DEFAULT),
        ),
        False,
    ),
    "a reset at the unrelated server as well": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=RESET), *stranger(tls(OTHER, failure=Failure.RESET))),
        True,
    ),
    "an alert at the unrelated server as well": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=alerted("peer")), *stranger(replace(REFUSED, address=OTHER))),
        True,
    ),
    "broken for all, it seems, but so is the name at an unrelated server": (
        "tls.broken_everywhere",
        record(
            *seen(*ANSWERED, own=RESET),
            *stranger(tls(OTHER, failure=Failure.RESET)),
            controls=(control(dns(GOOD), *RESET),),
        ),
        False,
    ),
    "seen once": (
        "tls.fails_for_this_name",
        record(dns(GOOD), *ANSWERED, *SILENT, *ANSWERED),
        False,
    ),
    "here only": (
        "tls.fails_here_only",
        record(*seen(reference(tls(OTHER, sni="r"))), controls=(ELSEWHERE,)),
        True,
    ),
    "an alert here only": (
        "tls.fails_here_only",
        record(*seen(*ANSWERED, own=alerted("peer")), controls=(ELSEWHERE,)),
        True,
    ),
    "our own alert": (
        "tls.fails_here_only",
        record(*seen(*ANSWERED, own=alerted("us")), controls=(ELSEWHERE,)),
        False,
    ),
    "the line may have failed": (
        "tls.fails_here_only",
        record(dns(GOOD), *SILENT, *again(*SILENT), controls=(ELSEWHERE,), line=Line()),
        False,
    ),
    "the address is punished for the name": (
        "tls.address_blocked_after_trigger",
        record(dns(GOOD), *SILENT, *ANSWERED, *again(*SILENT), DEAD),
        True,
    ),
    "the address was silent before": (
        "tls.address_blocked_after_trigger",
        record(dns(GOOD), *SILENT, DEAD, *again(*SILENT), DEAD),
        False,
    ),
    "the address goes on answering": (
        "tls.address_blocked_after_trigger",
        record(*seen(*ANSWERED)),
        False,
    ),
    "broken everywhere": (
        "tls.broken_everywhere",
        record(*seen(*MUTE), controls=(control(dns(GOOD), *SILENT),)),
        True,
    ),
    "reset, now as it connects and now just after, for all": (
        "tls.broken_everywhere",
        record(dns(GOOD), *RESET, *again(CUT), controls=(control(dns(GOOD), *RESET),)),
        True,
    ),
    "reset, now as it connects and now just after, here only": (
        "tls.fails_here_only",
        record(
            dns(GOOD),
            *RESET,
            *again(CUT),
            reference(tls(OTHER, sni="r")),
            controls=(ELSEWHERE,),
        ),
        True,
    ),
    "a reset, and once silent: the reset was lost": (
        "tls.fails_for_this_name",
        record(dns(GOOD), *SILENT, *ANSWERED, *again(*RESET), *ANSWERED),
        True,
    ),
    "a refusal, and once silent": (
        "tls.fails_here_only",
        record(
            dns(GOOD),
            *SILENT,
            *again(*alerted("peer")),
            reference(tls(OTHER, sni="r")),
            controls=(ELSEWHERE,),
        ),
        False,
    ),
    "broken here": ("tls.broken_everywhere", record(*seen(*MUTE), controls=(ELSEWHERE,)), False),
    "own bad certificate": (
        "tls.own_bad_certificate",
        record(dns(GOOD), tcp(), tls(trust=WRONG), controls=(control(tcp(), tls(trust=WRONG)),)),
        True,
    ),
    "another bad certificate": (
        "tls.own_bad_certificate",
        record(
            dns(GOOD),
            tcp(),
            tls(trust=WRONG),
            controls=(control(tcp(), tls(trust=replace(WRONG, leaf_key="b"))),),
        ),
        False,
    ),
    "own expired certificate": (
        "tls.own_expired_certificate",
        record(dns(GOOD), tcp(), tls(trust=EXPIRED)),
        True,
    ),
    "expired, but nothing else was valid either": (
        "tls.own_expired_certificate",
        record(dns(GOOD), tcp(), tls(trust=EXPIRED), line=Line()),
        False,
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert holds(rule, seen) is expected
