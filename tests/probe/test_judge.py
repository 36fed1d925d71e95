"""Verdicts on single records, as a table."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.judge import judge
from probe.model import Line, Mechanism, Outcome, Record, Reply, Step
from probe.rules import RULES
from tests.build import (
    CLAIMED,
    EXPIRED,
    FORGED,
    GOOD,
    KNOWN,
    OTHER,
    PLAIN,
    SINK,
    URL,
    again,
    at_unrelated,
    control,
    dns,
    doh,
    fetched,
    harmless,
    nxdomain,
    page,
    record,
    reference,
    tcp,
    tls,
)

M = Mechanism
RESET, TIMEOUT, EOF = Failure.RESET, Failure.TIMEOUT, Failure.EOF
ELSEWHERE = control(dns(GOOD), *fetched())
FINE = (dns(GOOD), doh(GOOD), *fetched())
NO_LINE = Line(alive_before=False, alive_after=False, references=4, references_failed=4)


def silent(failure: Failure = TIMEOUT, address: str = GOOD) -> tuple[Step, ...]:
    return (tcp(address), tls(address, failure=failure))


def around(failure: Failure = TIMEOUT) -> tuple[Step, ...]:
    """Target, harmless, target again, harmless again."""
    other = (harmless(tcp()), harmless(tls(trust=None)))
    return (dns(GOOD), *silent(failure), *other, *again(*silent(failure)), *other)


CASES = {
    "a proven page": (record(*FINE), Outcome.OK, ()),
    "a proven page on the second try": (
        record(dns(GOOD), *silent(), dns(GOOD), *again(*fetched())),
        Outcome.OK,
        (),
    ),
    "silence for this name alone, no control": (
        record(*around()),
        Outcome.BLOCKED,
        (M.TLS_TIMEOUT,),
    ),
    "a reset for this name alone, with a control": (
        record(*around(RESET), controls=(ELSEWHERE,)),
        Outcome.BLOCKED,
        (M.TLS_RESET,),
    ),
    "a goodbye for this name alone": (record(*around(EOF)), Outcome.BLOCKED, (M.TLS_EOF,)),
    "silence for every name, no control": (
        record(dns(GOOD), *silent(), *again(*silent())),
        Outcome.INCONCLUSIVE,
        (),
    ),
    "silence here, an answer there, at the same address": (
        record(dns(GOOD), *silent(), *again(*silent()), controls=(ELSEWHERE,)),
        Outcome.BLOCKED,
        (M.TLS_TIMEOUT,),
    ),
    "silence here and there": (
        record(dns(GOOD), *silent(), *again(*silent()), controls=(control(dns(GOOD), *silent()),)),
        Outcome.DOWN,
        (),
    ),
    "a reset here against a silence there": (
        record(
            dns(GOOD),
            *silent(RESET),
            *again(*silent(RESET)),
            controls=(control(dns(GOOD), *silent()),),
        ),
        Outcome.INCONCLUSIVE,
        (),
    ),
    "what was proved here and what the control saw contradict": (
        record(*around(), controls=(control(dns(GOOD), *silent()),)),
        Outcome.INCONCLUSIVE,
        (),
    ),
    "a control from yesterday": (
        record(
            dns(GOOD),
            *silent(),
            *again(*silent()),
            controls=(control(dns(GOOD), *fetched(), age=-90000.0),),
        ),
        Outcome.INCONCLUSIVE,
        (),
    ),
    "a connection without an answer, here alone": (
        record(
            dns(GOOD),
            tcp(failure=TIMEOUT),
            reference(tcp(OTHER)),
            *again(tcp(failure=TIMEOUT)),
            reference(tcp(OTHER)),
            controls=(ELSEWHERE,),
        ),
        Outcome.BLOCKED,
        (M.TCP_TIMEOUT,),
    ),
    "a connection refused everywhere": (
        record(
            dns(GOOD),
            tcp(failure=Failure.REFUSED),
            *again(tcp(failure=Failure.REFUSED)),
            controls=(control(dns(GOOD), tcp(failure=Failure.REFUSED)),),
        ),
        Outcome.DOWN,
        (),
    ),
    "a dead line": (
        record(
            dns(failure=TIMEOUT),
            doh(failure=TIMEOUT),
            *again(dns(failure=TIMEOUT)),
            line=NO_LINE,
        ),
        Outcome.INCONCLUSIVE,
        (M.ACCESS_OFFLINE,),
    ),
    "a name denied here, proven at another's address": (
        record(nxdomain(), doh(GOOD), *fetched(), *again(nxdomain(), doh(GOOD), *fetched())),
        Outcome.BLOCKED,
        (M.DNS_NXDOMAIN,),
    ),
    "a name denied everywhere": (
        record(nxdomain(), *again(nxdomain()), controls=(control(nxdomain()),)),
        Outcome.DOWN,
        (),
    ),
    "a private address here": (
        record(
            dns("10.10.34.35"),
            doh(GOOD),
            *fetched(),
            *again(dns("10.10.34.35"), doh(GOOD), *fetched()),
        ),
        Outcome.BLOCKED,
        (M.DNS_BOGON,),
    ),
    "another server's address here": (
        record(
            dns(SINK),
            doh(GOOD),
            tcp(SINK),
            tls(SINK, trust=FORGED.__class__(valid=False, reason=None, named=False)),
            *again(dns(SINK), doh(GOOD), *fetched()),
            line=Line(sinks=(SINK,)),
        ),
        Outcome.BLOCKED,
        (M.DNS_WRONG_ADDRESS,),
    ),
    "a large site's addresses differ, one of them is down": (
        record(
            dns(OTHER),
            doh(GOOD),
            tcp(OTHER, failure=TIMEOUT),
            *again(dns(OTHER), doh(GOOD), tcp(OTHER, failure=TIMEOUT), *fetched()),
        ),
        Outcome.INCONCLUSIVE,
        (),
    ),
    "two answers to one query, and the site all the same": (
        record(
            dns(
                GOOD,
                replies=(
                    Reply(at=0.01, rcode=0, answers=(GOOD,)),
                    Reply(at=0.02, rcode=3),
                ),
            ),
            *fetched(),
        ),
        Outcome.OK,
        (M.DNS_INJECTED,),
    ),
    "a known interception key": (
        record(dns(GOOD), tcp(), tls(trust=KNOWN), page(proven=False)),
        Outcome.INTERCEPTED,
        (M.TLS_MITM,),
    ),
    "a known name with a new key": (
        record(dns(GOOD), tcp(), tls(trust=CLAIMED), page(proven=False)),
        Outcome.INTERCEPTED,
        (M.TLS_MITM,),
    ),
    "an unknown authority, another certificate there": (
        record(dns(GOOD), tcp(), tls(trust=FORGED), page(proven=False), controls=(ELSEWHERE,)),
        Outcome.INTERCEPTED,
        (M.TLS_MITM,),
    ),
    "an unknown authority, and the site's own certificate is expired": (
        record(
            dns(GOOD),
            tcp(),
            tls(trust=FORGED),
            page(proven=False),
            controls=(control(dns(GOOD), tcp(), tls(trust=EXPIRED)),),
        ),
        Outcome.INTERCEPTED,
        (M.TLS_MITM,),
    ),
    "everything is re-signed": (
        record(
            dns(GOOD),
            tcp(),
            tls(trust=FORGED),
            page(proven=False),
            controls=(ELSEWHERE,),
            line=Line(resigned_by="forger", resigned_names=5, trusted_names=0),
        ),
        Outcome.INCONCLUSIVE,
        (M.ACCESS_LOCAL_INTERCEPTOR,),
    ),
    "the site's own expired certificate": (
        record(
            dns(GOOD),
            tcp(),
            tls(trust=EXPIRED),
            page(proven=False),
            controls=(control(dns(GOOD), tcp(), tls(trust=EXPIRED)),),
        ),
        Outcome.DOWN,
        (),
    ),
    "the server itself says no": (
        record(dns(GOOD), tcp(), tls(), page(status=403)),
        Outcome.REFUSED,
        (),
    ),
    "the server itself is broken, for all": (
        record(
            dns(GOOD),
            tcp(),
            tls(),
            page(status=502),
            controls=(control(dns(GOOD), tcp(), tls(), page(status=502)),),
        ),
        Outcome.DOWN,
        (),
    ),
    "a plain page as the control sees it": (
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN),
            url=PLAIN,
            controls=(control(dns(GOOD), tcp(port=80), page(PLAIN)),),
        ),
        Outcome.OK,
        (),
    ),
    "a plain page and no control": (
        record(dns(GOOD), tcp(port=80), page(PLAIN), url=PLAIN),
        Outcome.INCONCLUSIVE,
        (),
    ),
    "a block page as 200": (
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, title="Blocked", fuzzy="f0f0f0f0f0f0f0f0"),
            *again(tcp(port=80), page(PLAIN, title="Blocked", fuzzy="f0f0f0f0f0f0f0f0")),
            *again(*fetched()),
            at_unrelated(page(PLAIN, title="Blocked", fuzzy="f0f0f0f0f0f0f0f0")),
            url=PLAIN,
            controls=(control(dns(GOOD), tcp(port=80), page(PLAIN)),),
        ),
        Outcome.BLOCKED,
        (M.HTTP_BLOCKPAGE,),
    ),
    "a plain site that leads to its own https": (
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, status=301, location=URL),
            replace(tcp(), hop=1),
            replace(tls(), hop=1),
            replace(page(URL), hop=1),
            url=PLAIN,
        ),
        Outcome.OK,
        (),
    ),
    "a redirect to another site's valid page": (
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, status=302, location="https://stop.example/"),
            dns(SINK, name="stop.example", hop=1),
            tcp(SINK, hop=1),
            tls(SINK, sni="stop.example", hop=1),
            page("https://stop.example/", address=SINK, hop=1),
            *again(tcp(port=80), page(PLAIN, status=302, location="https://stop.example/")),
            *again(*fetched()),
            at_unrelated(page(PLAIN, status=302, location="https://stop.example/")),
            url=PLAIN,
            controls=(control(dns(GOOD), tcp(port=80), page(PLAIN)),),
        ),
        Outcome.BLOCKED,
        (M.HTTP_REDIRECTED,),
    ),
    "a page without a status line": (
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, status=None, malformed=True),
            *again(tcp(port=80), page(PLAIN, status=None, malformed=True)),
            at_unrelated(page(PLAIN, status=None, malformed=True)),
            url=PLAIN,
            controls=(control(dns(GOOD), tcp(port=80), page(PLAIN)),),
        ),
        Outcome.BLOCKED,
        (M.HTTP_INJECTED,),
    ),
    "requests for this host are reset": (
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, failure=RESET),
            harmless(page(PLAIN)),
            *again(tcp(port=80), page(PLAIN, failure=RESET)),
            harmless(page(PLAIN)),
            controls=(control(dns(GOOD), tcp(port=80), page(PLAIN)),),
            url=PLAIN,
        ),
        Outcome.BLOCKED,
        (M.HTTP_RESET,),
    ),
}


@pytest.mark.parametrize(("seen", "outcome", "mechanisms"), CASES.values(), ids=list(CASES))
def test_the_verdict_on_each_record(
    seen: Record, outcome: Outcome, mechanisms: tuple[Mechanism, ...]
) -> None:
    verdict = judge(seen)
    assert (verdict.outcome, set(verdict.mechanisms)) == (outcome, set(mechanisms)), verdict


def test_a_verdict_names_existing_steps_and_gives_reasons() -> None:
    for seen, _, _ in CASES.values():
        verdict = judge(seen)
        known = {step.id for step in seen.steps}
        assert verdict.rules
        for hit in verdict.rules:
            assert hit.reason
            assert set(hit.steps) <= known


def test_an_accusation_never_rests_on_one_attempt() -> None:
    once = record(dns(GOOD), *silent(), controls=(ELSEWHERE,))
    assert judge(once).outcome is Outcome.INCONCLUSIVE


def test_rule_ids_are_unique_and_every_rule_has_a_sentence() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    assert all(rule.sentence.endswith(".") for rule in RULES)


def test_judging_twice_gives_the_same() -> None:
    for seen, _, _ in CASES.values():
        assert judge(seen) == judge(seen)


def test_rules_keep_their_sentences_where_docstrings_are_left_out() -> None:
    code = "from probe.rules import RULES; print(*(r.sentence for r in RULES), sep=chr(10))"
    printed = subprocess.run(
        [sys.executable, "-OO", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert printed.stdout.splitlines() == [rule.sentence for rule in RULES]
