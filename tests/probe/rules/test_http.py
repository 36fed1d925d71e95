import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Http, Record, Role, Step
from tests.build import (
    GOOD,
    OTHER,
    PLAIN,
    VALID,
    again,
    control,
    dns,
    fetched,
    harmless,
    page,
    record,
    reference,
    tcp,
    tls,
)
from tests.probe.rules.check import holds, verdict_on

RESET = Failure.RESET
THERE = control(dns(GOOD), tcp(port=80), page(PLAIN))
FAILED = (tcp(port=80), page(PLAIN, failure=RESET))
ANSWERED = (harmless(tcp(port=80)), harmless(page(PLAIN, status=404)))
ODD = "f0f0f0f0f0f0f0f0"


def away(to: str = "http://stop.example/") -> Http:
    return page(PLAIN, status=302, location=to)


LOOSE = page(PLAIN, status=302, headers={"location": "http://\ufffd/"}, received_bytes=0)
ACKNOWLEDGED = (tcp(port=80), page(PLAIN, failure=Failure.TIMEOUT, acknowledged=True))
UNHEARD = (tcp(port=80), page(PLAIN, failure=Failure.TIMEOUT, acknowledged=False))
MEASURED = (dns(GOOD), *FAILED, *ANSWERED, *again(*FAILED), *ANSWERED)


def stranger(title: str = "Another server", **own: object) -> tuple[Step, ...]:
    """The host at an unrelated server, between two harmless ones."""
    fuzzy = ODD if title == "Another server" else "0f0f0f0f0f0f0f0f"
    mute = page(PLAIN, address=OTHER, host="h", status=404, title=title, fuzzy=fuzzy)
    around = harmless(mute)
    step = replace(page(PLAIN, address=OTHER, **own), role=Role.NEUTRAL)  # type: ignore[arg-type]
    return around, step, around


def stranger_page(seen: Http, around: Http | None = None) -> tuple[Step, ...]:
    """A page for the host at an unrelated server, between two for a harmless host."""
    usual = around or page(PLAIN, status=404, title="Another server", fuzzy=ODD)
    there = harmless(replace(usual, address=OTHER, host="h"))
    return there, replace(seen, address=OTHER, role=Role.NEUTRAL), there


def within_tls(failure: Failure | None, *, shared_key: bool = False) -> tuple[Step, ...]:
    """A request for the site within TLS at an unrelated server, between two harmless ones."""
    trust = VALID if shared_key else replace(VALID, valid=False, leaf_key="another")
    mute = page(address=OTHER, proven=False, host="h", status=404)
    around = (harmless(tls(OTHER, trust=trust)), harmless(mute))
    asked = (tls(OTHER, trust=trust), page(address=OTHER, proven=False, failure=failure))
    return (*around, *(replace(s, role=Role.NEUTRAL) for s in asked), *around)


HANGS = (tcp(), tls(), page(failure=Failure.TIMEOUT))
HUNG = (dns(GOOD), *HANGS, harmless(tls()), *again(*HANGS), harmless(tls()))
FETCHED = control(dns(GOOD), *fetched())
NOTICE = page(PLAIN, title="Access is restricted", fuzzy="00000000ffffffff", sha256="notice")
NOTED = (dns(GOOD), NOTICE, *ANSWERED, *again(NOTICE), *ANSWERED)
LOST = (tcp(port=80), page(PLAIN, failure=Failure.TIMEOUT))

TABLE = {
    "fails for this host": (
        "http.fails_for_this_host",
        record(
            dns(GOOD), *FAILED, *ANSWERED, *again(*FAILED), *ANSWERED, url=PLAIN, controls=(THERE,)
        ),
        True,
        "blocked http.reset 0.92 by http.fails_for_this_host",
    ),
    "fails for this host, and no other server was asked": (
        "http.fails_for_this_host",
        record(dns(GOOD), *FAILED, *ANSWERED, *again(*FAILED), *ANSWERED, url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "silent, but it confirmed the request": (
        "http.fails_for_this_host",
        record(dns(GOOD), *ACKNOWLEDGED, *ANSWERED, *again(*ACKNOWLEDGED), *ANSWERED, url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "fails for this host here, and an unrelated server answers it": (
        "http.fails_for_this_host",
        record(*MEASURED, *stranger(status=404), url=PLAIN, controls=(THERE,)),
        False,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "never acknowledged, without a control, and an unrelated server answers it": (
        "http.fails_for_this_host",
        record(
            dns(GOOD),
            *UNHEARD,
            *ANSWERED,
            *again(*UNHEARD),
            *ANSWERED,
            *stranger(status=404),
            url=PLAIN,
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "fails at an unrelated server as well, and works for the control": (
        "http.fails_for_this_host",
        record(*MEASURED, *stranger(failure=RESET), url=PLAIN, controls=(THERE,)),
        True,
        "blocked http.reset 0.96 by http.fails_for_this_host",
    ),
    "fails at an unrelated server as well": (
        "http.fails_for_this_host",
        record(*MEASURED, *stranger(failure=RESET), url=PLAIN),
        True,
        "blocked http.reset 0.94 by http.fails_for_this_host",
    ),
    "silent, confirmed the request, and so does another server of the same operator": (
        "http.fails_for_this_host",
        record(
            dns(GOOD),
            *ACKNOWLEDGED,
            *ANSWERED,
            *again(*ACKNOWLEDGED),
            *ANSWERED,
            *stranger("The site", failure=Failure.TIMEOUT),
            url=PLAIN,
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "reset, and once silent: the reset was lost": (
        "http.fails_for_this_host",
        record(
            dns(GOOD),
            *LOST,
            *ANSWERED,
            *again(*FAILED),
            *ANSWERED,
            *stranger(failure=RESET),
            url=PLAIN,
        ),
        True,
        "blocked http.reset 0.94 by http.fails_for_this_host",
    ),
    "TLS proves the site and no request is answered": (
        "http.fails_within_tls",
        record(*HUNG, controls=(FETCHED,)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "no request is answered within TLS, at an unrelated server neither": (
        "http.fails_within_tls",
        record(*HUNG, *within_tls(Failure.TIMEOUT)),
        True,
        "blocked http.timeout 0.94 by http.fails_within_tls",
    ),
    "no request is answered within TLS, at an unrelated server neither, and for the control": (
        "http.fails_within_tls",
        record(*HUNG, *within_tls(Failure.TIMEOUT), controls=(FETCHED,)),
        True,
        "blocked http.timeout 0.96 by http.fails_within_tls",
    ),
    "no request is answered within TLS, and an unrelated server answers it": (
        "http.fails_within_tls",
        record(*HUNG, *within_tls(None), controls=(FETCHED,)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "no request is answered within TLS, at another server of the operator neither": (
        "http.fails_within_tls",
        record(*HUNG, *within_tls(Failure.TIMEOUT, shared_key=True)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "no request is answered within TLS, and it hangs for the control as well": (
        "http.fails_within_tls",
        record(*HUNG, *within_tls(None), controls=(control(dns(GOOD), *HANGS),)),
        False,
        "down 0.846 by http.broken_everywhere",
    ),
    "the same notice at an unrelated server": (
        "http.same_notice_elsewhere",
        record(*NOTED, *stranger_page(NOTICE), url=PLAIN),
        True,
        "blocked http.blockpage 0.93 by http.same_notice_elsewhere",
    ),
    "its own page at another address": (
        "http.same_notice_elsewhere",
        record(
            dns(GOOD),
            page(PLAIN),
            *ANSWERED,
            *again(page(PLAIN)),
            *stranger_page(page(PLAIN)),
            url=PLAIN,
        ),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "the same notice for any host there": (
        "http.same_notice_elsewhere",
        record(*NOTED, *stranger_page(NOTICE, around=NOTICE), url=PLAIN),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "the same notice at another server of the same operator": (
        "http.same_notice_elsewhere",
        record(*NOTED, *stranger_page(NOTICE, around=page(PLAIN, status=404)), url=PLAIN),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "sent away by an unrelated server too": (
        "http.same_notice_elsewhere",
        record(dns(GOOD), away(), *ANSWERED, *again(away()), *stranger_page(away()), url=PLAIN),
        True,
        "blocked http.redirected 0.93 by http.same_notice_elsewhere",
    ),
    "an unrelated server answers for this host": (
        "http.fails_for_this_host",
        record(*MEASURED, *stranger(status=404), url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "broken for all, it seems, but so is the host at an unrelated server": (
        "http.broken_everywhere",
        record(
            *MEASURED, *stranger(failure=RESET), url=PLAIN, controls=(control(dns(GOOD), *FAILED),)
        ),
        False,
        "blocked http.reset 0.94 by http.fails_for_this_host",
    ),
    "fails for any host": (
        "http.fails_for_this_host",
        record(dns(GOOD), *FAILED, *again(*FAILED), url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "fails here only": (
        "http.fails_here_only",
        record(
            dns(GOOD),
            reference(tcp(OTHER)),
            *FAILED,
            *again(*FAILED),
            reference(tcp(OTHER)),
            url=PLAIN,
            controls=(THERE,),
        ),
        True,
        "blocked http.reset 0.81 by http.fails_here_only",
    ),
    "fails there too": (
        "http.fails_here_only",
        record(
            dns(GOOD),
            *FAILED,
            *again(*FAILED),
            url=PLAIN,
            controls=(control(dns(GOOD), *FAILED),),
        ),
        False,
        "down 0.846 by http.broken_everywhere",
    ),
    "redirected nowhere, at an unrelated server too": (
        "http.same_notice_elsewhere",
        record(dns(GOOD), LOOSE, *ANSWERED, *again(LOOSE), *stranger_page(LOOSE), url=PLAIN),
        True,
        "blocked http.redirected 0.93 by http.same_notice_elsewhere",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict


@pytest.mark.parametrize("ended", [{"failure": Failure.EOF}, {"failure": None, "detail": "short"}])
def test_a_page_that_ends_early_for_the_control_as_well_accuses_no_network(
    ended: dict[str, object],
) -> None:
    """On a lossy line the same early end is sometimes seen as a failure, and sometimes not."""
    early = replace(page(PLAIN), failure=Failure.EOF, received_bytes=4000, complete=False)
    steps = (tcp(port=80), early)
    whole, short = control(dns(GOOD), page(PLAIN)), control(dns(GOOD), replace(early, **ended))
    made = record(dns(GOOD), *steps, *again(*steps), url=PLAIN, controls=(whole,))
    assert holds("http.fails_here_only", made)
    assert not holds("http.fails_here_only", replace(made, control=(whole, short)))
