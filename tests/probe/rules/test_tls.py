import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Line, Record, Role, Step, Tls, Trust, TrustReason
from tests.build import (
    EXPIRED,
    GOOD,
    OTHER,
    UNRELATED,
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
from tests.probe.rules.check import holds, verdict_on

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


ACKNOWLEDGED = (tcp(), tls(failure=TIMEOUT, acknowledged=True))
RESET = (tcp(), tls(failure=Failure.RESET))
REFUSED = tls(failure=ALERT, alert=40, alert_by="peer", bytes_in=7)


def stranger(step: Tls, trust: Trust = WRONG) -> tuple[Step, ...]:
    """The name at an unrelated server, between two harmless ones."""
    around = harmless(tls(OTHER, sni="h", trust=trust))
    return around, replace(step, role=Role.NEUTRAL), around


CUT = tcp(failure=Failure.RESET)
# An unrelated server answers nothing after the name was offered to it; a reference site answers.
PUNISHED_TOO = (
    *stranger(tls(OTHER, failure=TIMEOUT))[:2],
    harmless(tcp(OTHER, failure=TIMEOUT)),
    reference(tls(UNRELATED, sni="r")),
)

TABLE = {
    "this name": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED)),
        True,
        "blocked tls.timeout 0.9 by tls.fails_for_this_name",
    ),
    "no name is answered": (
        "tls.fails_for_this_name",
        record(*seen(*MUTE)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "another address answers": (
        "tls.fails_for_this_name",
        record(*seen(harmless(tcp(OTHER)), harmless(tls(OTHER)))),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a server may refuse a name by alert": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=alerted("peer"))),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "silent, but it confirmed the hello": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=ACKNOWLEDGED)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "silent, confirmed the hello, and answers the control": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=ACKNOWLEDGED), controls=(ELSEWHERE,)),
        True,
        "blocked tls.timeout 0.93 by tls.fails_for_this_name",
    ),
    "a reset, and the unrelated server answers this name": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=RESET), *stranger(tls(OTHER, trust=WRONG))),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a reset, the control works, and the unrelated server answers this name": (
        "tls.fails_for_this_name",
        record(
            *seen(*ANSWERED, own=RESET),
            *stranger(tls(OTHER, trust=WRONG)),
            controls=(ELSEWHERE,),
        ),
        False,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "silent, the control works, and another server of the operator answers this name": (
        "tls.fails_for_this_name",
        record(
            *seen(harmless(tcp()), harmless(tls(trust=DEFAULT))),
            *stranger(tls(OTHER), trust=DEFAULT),
            controls=(ELSEWHERE,),
        ),
        False,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "never acknowledged, without a control, and the unrelated server answers this name": (
        "tls.fails_for_this_name",
        record(
            *seen(*ANSWERED, own=(tcp(), tls(failure=TIMEOUT, acknowledged=False))),
            *stranger(tls(OTHER, trust=WRONG)),
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a reset at the unrelated server as well, and the control works": (
        "tls.fails_for_this_name",
        record(
            *seen(*ANSWERED, own=RESET),
            *stranger(tls(OTHER, failure=Failure.RESET)),
            controls=(ELSEWHERE,),
        ),
        True,
        "blocked tls.reset 0.98 by tls.fails_for_this_name",
    ),
    "an alert at another server of the same operator": (
        "tls.fails_for_this_name",
        record(
            *seen(harmless(tcp()), harmless(tls(trust=DEFAULT)), own=alerted("peer")),
            *stranger(replace(REFUSED, address=OTHER), trust=DEFAULT),
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a reset at the unrelated server as well": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=RESET), *stranger(tls(OTHER, failure=Failure.RESET))),
        True,
        "blocked tls.reset 0.95 by tls.fails_for_this_name",
    ),
    "an alert at the unrelated server as well": (
        "tls.fails_for_this_name",
        record(*seen(*ANSWERED, own=alerted("peer")), *stranger(replace(REFUSED, address=OTHER))),
        True,
        "blocked tls.alert 0.95 by tls.fails_for_this_name",
    ),
    "broken for all, it seems, but so is the name at an unrelated server": (
        "tls.broken_everywhere",
        record(
            *seen(*ANSWERED, own=RESET),
            *stranger(tls(OTHER, failure=Failure.RESET)),
            controls=(control(dns(GOOD), *RESET),),
        ),
        False,
        "blocked tls.reset 0.95 by tls.fails_for_this_name",
    ),
    "seen once": (
        "tls.fails_for_this_name",
        record(dns(GOOD), *ANSWERED, *SILENT, *ANSWERED),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "here only": (
        "tls.fails_here_only",
        record(*seen(reference(tls(OTHER, sni="r"))), controls=(ELSEWHERE,)),
        True,
        "blocked tls.timeout 0.828 by tls.fails_here_only",
    ),
    "an alert here only": (
        "tls.fails_here_only",
        record(*seen(*ANSWERED, own=alerted("peer")), controls=(ELSEWHERE,)),
        True,
        "blocked tls.alert 0.828 by tls.fails_here_only",
    ),
    "our own alert": (
        "tls.fails_here_only",
        record(*seen(*ANSWERED, own=alerted("us")), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "the line may have failed": (
        "tls.fails_here_only",
        record(dns(GOOD), *SILENT, *again(*SILENT), controls=(ELSEWHERE,), line=Line()),
        False,
        "inconclusive 0.5 by unclear.line_not_shown_to_work",
    ),
    "the address is punished for the name, or the site's filter bans this client": (
        "tls.address_blocked_after_trigger",
        record(dns(GOOD), *ANSWERED, *SILENT, DEAD, *again(*SILENT), DEAD),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "an unrelated server's address is punished for the name as well": (
        "tls.address_blocked_after_trigger",
        record(dns(GOOD), *ANSWERED, *SILENT, DEAD, *again(*SILENT), DEAD, *PUNISHED_TOO),
        True,
        "blocked tls.timeout 0.94 by tls.address_blocked_after_trigger",
    ),
    "both addresses are punished, and the control shook hands": (
        "tls.address_blocked_after_trigger",
        record(
            dns(GOOD),
            *(*ANSWERED, *SILENT, DEAD, *again(*SILENT), DEAD),
            *PUNISHED_TOO,
            controls=(ELSEWHERE,),
        ),
        True,
        "blocked tls.timeout 0.97 by tls.address_blocked_after_trigger",
    ),
    "nothing is answered any more, not even by a reference site": (
        "tls.address_blocked_after_trigger",
        record(dns(GOOD), *SILENT, DEAD, *again(*SILENT), DEAD, *PUNISHED_TOO[:-1]),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "an unrelated server answers the name, and the site's address nothing": (
        "tls.address_blocked_after_trigger",
        record(
            dns(GOOD),
            *(*ANSWERED, *SILENT, DEAD, *again(*SILENT), DEAD),
            *stranger(tls(OTHER, trust=WRONG)),
            controls=(ELSEWHERE,),
        ),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "the address was silent before": (
        "tls.address_blocked_after_trigger",
        record(dns(GOOD), *SILENT, DEAD, *again(*SILENT), DEAD),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "the address goes on answering": (
        "tls.address_blocked_after_trigger",
        record(*seen(*ANSWERED)),
        False,
        "blocked tls.timeout 0.9 by tls.fails_for_this_name",
    ),
    "broken everywhere": (
        "tls.broken_everywhere",
        record(*seen(*MUTE), controls=(control(dns(GOOD), *SILENT),)),
        True,
        "down 0.856 by tls.broken_everywhere",
    ),
    "reset, now as it connects and now just after, for all": (
        "tls.broken_everywhere",
        record(dns(GOOD), *RESET, *again(CUT), controls=(control(dns(GOOD), *RESET),)),
        True,
        "down 0.856 by tls.broken_everywhere",
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
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "a reset, and once silent: the reset was lost": (
        "tls.fails_for_this_name",
        record(dns(GOOD), *SILENT, *ANSWERED, *again(*RESET), *ANSWERED),
        True,
        "blocked tls.reset 0.9 by tls.fails_for_this_name",
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
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "broken here": (
        "tls.broken_everywhere",
        record(*seen(*MUTE), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "own bad certificate": (
        "tls.own_bad_certificate",
        record(dns(GOOD), tcp(), tls(trust=WRONG), controls=(control(tcp(), tls(trust=WRONG)),)),
        True,
        "down 0.874 by tls.own_bad_certificate",
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
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "own expired certificate": (
        "tls.own_expired_certificate",
        record(dns(GOOD), tcp(), tls(trust=EXPIRED)),
        True,
        "down 0.88 by tls.own_expired_certificate",
    ),
    "expired, but nothing else was valid either": (
        "tls.own_expired_certificate",
        record(dns(GOOD), tcp(), tls(trust=EXPIRED), line=Line()),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict
