import pytest
from msgspec.structs import replace

from probe.analysis.evidence import Evidence
from probe.failure import Failure
from probe.model import Dns, Line, Mechanism, Record, Reply, Role, TrustReason
from probe.reference_data import unused_addresses
from probe.rules.dns import name_denied_here
from tests.build import (
    GOOD,
    HARMLESS,
    HOST,
    OTHER,
    SINK,
    URL,
    VALID,
    again,
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
from tests.probe.rules.check import holds, verdict_on

TIMEOUT = Failure.TIMEOUT
(UNUSED,) = unused_addresses()

SERVFAIL = dns(failure=Failure.DNS_SERVFAIL, rcode=2)
ELSEWHERE = control(dns(GOOD), *fetched())
NOT_IT = replace(VALID, valid=False, reason=TrustReason.HOSTNAME, named=False)
THEIRS = replace(NOT_IT, leaf_key="theirs")
BOGON = dns("127.0.0.1")
TWO = dns(SINK, replies=(Reply(at=0.01, rcode=3), Reply(at=0.02, rcode=0, answers=(GOOD,))))
DEAD_FIRST, DEAD_LATER = (
    dns(
        replies=(
            Reply(at=0.01, rcode=0, answers=(first,), ip_ttl=64),
            Reply(at=0.02, rcode=0, answers=(second,), ip_ttl=63),
        )
    )
    for first, second in ((SINK, GOOD), (GOOD, SINK))
)
SILENT_SINK = tcp(SINK, failure=Failure.TIMEOUT)
GOOGLE = dns(GOOD, resolver="8.8.8.8")
QUAD = dns(GOOD, resolver="9.9.9.9")


FORGED_ABROAD = (
    *(dns(SINK), dns(SINK, resolver="8.8.8.8"), dns(SINK, resolver="1.1.1.1")),
    *(doh(GOOD), dns(GOOD, resolver="8.8.8.8", transport="doh")),
    *(dns(GOOD, resolver="9.9.9.9", transport="doh"), SILENT_SINK),
)
UNANSWERED = dns(name=HARMLESS, resolver=UNUSED, failure=TIMEOUT)


def neutral(step: Dns) -> Dns:
    return replace(step, role=Role.NEUTRAL)


OPEN = "inconclusive 0.5 by verdict.not_excluded"
LINE = Line(alive_before=True, alive_after=True, trusted_names=3)
# The resolver alone gives the address, where another host's certificate is shown.
ANOTHERS = (dns(SINK), tcp(SINK), tls(SINK, trust=THEIRS))
DEAD_SINK = (dns(SINK), SILENT_SINK, *again(dns(SINK), SILENT_SINK))
BELOW = f"qjxkvbzwpdmh.{HOST}"
INVENTED = (neutral(dns(SINK, name=BELOW)), neutral(doh(failure=Failure.DNS_NXDOMAIN, name=BELOW)))
ORDER = page(address=SINK, proven=False, title="Restricted by decision of the court", fuzzy="f0")


def twice(*steps: object) -> tuple:  # type: ignore[type-arg]
    return (*steps, *again(*steps))  # type: ignore[arg-type]


TABLE = {
    "denied: proven at another's address": (
        "dns.name_denied_here",
        record(*twice(nxdomain(), doh(GOOD), *fetched())),
        True,
        "blocked dns.nxdomain 0.97 by dns.name_denied_here",
    ),
    "denied: the control resolves it": (
        "dns.name_denied_here",
        record(*twice(nxdomain()), controls=(ELSEWHERE,)),
        True,
        "blocked dns.nxdomain 0.856 by dns.name_denied_here",
    ),
    "denied: asked once": (
        "dns.name_denied_here",
        record(nxdomain(), doh(GOOD), *fetched()),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "denied: one plain resolver differs": (
        "dns.name_denied_here",
        record(*twice(nxdomain(), GOOGLE)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "denied: a resolver that answers for no name": (
        "dns.name_denied_here",
        record(
            *twice(SERVFAIL),
            harmless(replace(SERVFAIL, name="www.harmless.example")),
            controls=(ELSEWHERE,),
        ),
        False,
        "inconclusive access.offline 0.85 by access.no_names",
    ),
    "denied: and so is a site that works": (
        "dns.name_denied_here",
        record(
            *twice(nxdomain(), doh(GOOD), *fetched()),
            reference(replace(nxdomain(), name="works.example")),
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "denied: silent once over UDP, like every name, and once over TCP": (
        "dns.name_denied_here",
        record(
            dns(failure=TIMEOUT),
            doh(GOOD),
            *again(dns(failure=TIMEOUT, transport="tcp")),
            reference(dns(OTHER, name="ref.example", transport="tcp")),
            tcp(),
            tls(),
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "denied: silent twice over TCP, where another name is answered": (
        "dns.name_denied_here",
        record(
            dns(failure=TIMEOUT),
            doh(GOOD),
            *again(dns(failure=TIMEOUT, transport="tcp"), dns(failure=TIMEOUT, transport="tcp")),
            reference(dns(OTHER, name="ref.example", transport="tcp")),
            tcp(),
            tls(),
        ),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "denied: silent over UDP, where another name is answered over TCP alone": (
        "dns.name_denied_here",
        record(
            dns(failure=TIMEOUT),
            doh(GOOD),
            *again(dns(failure=TIMEOUT)),
            reference(dns(OTHER, name="ref.example", transport="tcp")),
            tcp(),
            tls(),
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "denied: servfail for this name alone": (
        "dns.name_denied_here",
        record(
            *twice(SERVFAIL),
            harmless(dns(OTHER, name="www.harmless.example")),
            controls=(ELSEWHERE,),
        ),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "bogon: here": (
        "dns.bogon_here",
        record(*twice(BOGON, doh(GOOD), *fetched())),
        True,
        "blocked dns.bogon 0.97 by dns.bogon_here",
    ),
    "bogon: everywhere": (
        "dns.bogon_here",
        record(*twice(BOGON, doh("127.0.0.1")), controls=(control(dns("127.0.0.1")),)),
        False,
        "down 0.9 by dns.leads_nowhere_everywhere",
    ),
    "wrong address: its server is another's, or a node that is not set up": (
        "dns.wrong_address_here",
        record(*ANOTHERS, doh(GOOD), *fetched()),
        True,
        OPEN,
    ),
    "wrong address: invented names below it have it, too": (
        "dns.wrong_address_here",
        record(*ANOTHERS, doh(GOOD), *fetched(), *INVENTED),
        True,
        "blocked dns.wrong_address 0.95 by dns.wrong_address_here",
    ),
    "wrong address: the name has a wildcard, which other resolvers know as well": (
        "dns.wrong_address_here",
        record(*ANOTHERS, doh(GOOD), *fetched(), INVENTED[0], neutral(doh(GOOD, name=BELOW))),
        True,
        OPEN,
    ),
    "wrong address: invented names do not exist": (
        "dns.wrong_address_here",
        record(*ANOTHERS, doh(GOOD), *fetched(), neutral(nxdomain(name=BELOW)), INVENTED[1]),
        True,
        OPEN,
    ),
    "wrong address: unrelated names have it, too": (
        "dns.wrong_address_here",
        record(*ANOTHERS, doh(GOOD), *fetched(), line=replace(LINE, sinks=(SINK,))),
        True,
        "blocked dns.wrong_address 0.95 by dns.wrong_address_here",
    ),
    "wrong address: a notice about an order is there": (
        "dns.wrong_address_here",
        record(*ANOTHERS, ORDER, doh(GOOD), *fetched()),
        True,
        "blocked dns.wrong_address 0.95 by dns.wrong_address_here",
    ),
    "wrong address: a server's own refusal is there": (
        "dns.wrong_address_here",
        record(*ANOTHERS, replace(ORDER, title="Access denied"), doh(GOOD), *fetched()),
        True,
        OPEN,
    ),
    "dead address: nothing answers there, perhaps no longer": (
        "dns.dead_address_here",
        record(*DEAD_SINK, doh(GOOD), *fetched(), line=LINE),
        True,
        OPEN,
    ),
    "dead address: invented names below it have it, too": (
        "dns.dead_address_here",
        record(*DEAD_SINK, doh(GOOD), *fetched(), *INVENTED, line=LINE),
        True,
        "blocked dns.wrong_address 0.85 by dns.dead_address_here",
    ),
    "dead address: unrelated names have it, too": (
        "dns.dead_address_here",
        record(*DEAD_SINK, doh(GOOD), *fetched(), line=replace(LINE, sinks=(SINK,))),
        True,
        "blocked dns.wrong_address 0.85 by dns.dead_address_here",
    ),
    "dead address: others give it as well": (
        "dns.dead_address_here",
        record(*DEAD_SINK, doh(SINK), *fetched(), *INVENTED, line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "dead address: it connected once": (
        "dns.dead_address_here",
        record(*DEAD_SINK, tcp(SINK), tls(SINK), doh(GOOD), *fetched(), *INVENTED, line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "dead address: no other address was shown to work": (
        "dns.dead_address_here",
        record(*DEAD_SINK, doh(GOOD), *INVENTED, line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "wrong address: it proves the name": (
        "dns.wrong_address_here",
        record(dns(OTHER), *fetched(OTHER), doh(GOOD), *fetched()),
        False,
        "ok 0.99 by ok.proven",
    ),
    "wrong address: a silent address, and others differ too": (
        "dns.wrong_address_here",
        record(dns(SINK), SILENT_SINK, doh(GOOD), dns(OTHER, resolver="8.8.8.8"), *fetched()),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "wrong address: a silent address, and all others agree": (
        "dns.wrong_address_here",
        record(dns(SINK), SILENT_SINK, doh(GOOD), GOOGLE, QUAD, *fetched()),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "wrong address: silent, and given for public resolvers that say another when encrypted": (
        "dns.wrong_address_here",
        record(*FORGED_ABROAD, neutral(UNANSWERED), *fetched()),
        True,
        "blocked dns.wrong_address 0.85 by dns.wrong_address_here",
    ),
    "wrong address: silent, where the provider's resolver answers every query": (
        "dns.wrong_address_here",
        record(*FORGED_ABROAD, neutral(dns(OTHER, name=HARMLESS, resolver=UNUSED)), *fetched()),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "wrong address: every address of the name shows that certificate": (
        "dns.wrong_address_here",
        record(
            *twice(dns(SINK), tcp(SINK), tls(SINK, trust=THEIRS), doh(GOOD), tcp()),
            tls(trust=THEIRS),
            controls=(ELSEWHERE,),
        ),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "injected: the first answer leads nowhere": (
        "dns.injected_answer_wins",
        record(TWO, *fetched()),
        True,
        "blocked dns.injected 0.97 by dns.injected_answer_wins",
    ),
    "injected: both lead there": (
        "dns.injected_answer_wins",
        record(
            dns(
                GOOD,
                replies=(
                    Reply(at=0.01, rcode=0, answers=(GOOD,)),
                    Reply(at=0.02, rcode=0, answers=(GOOD,)),
                ),
            ),
            *fetched(),
        ),
        False,
        "ok 0.99 by ok.proven",
    ),
    "injected: every query gets these two, from equally far": (
        "dns.injected_answer_wins",
        record(*twice(DEAD_FIRST, SILENT_SINK), *again(*fetched())),
        True,
        "blocked dns.injected 0.97 by dns.injected_answer_wins",
    ),
    "injected: two answers that take turns": (
        "dns.injected_answer_wins",
        record(DEAD_FIRST, SILENT_SINK, *again(DEAD_LATER, SILENT_SINK, *fetched())),
        False,
        "ok 0.99 by ok.proven",
    ),
    "two answers": (
        "dns.two_answers",
        record(TWO),
        True,
        "inconclusive dns.injected 0.5 by unclear.no_control",
    ),
    "one answer": (
        "dns.two_answers",
        record(dns(GOOD)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a public resolver is answered for by another": (
        "dns.public_resolver_answered_by_another",
        record(dns(GOOD), nxdomain(resolver="8.8.8.8"), *fetched()),
        True,
        "ok dns.nxdomain 0.99 by ok.proven",
    ),
    "a public resolver tells the truth": (
        "dns.public_resolver_answered_by_another",
        record(dns(GOOD), GOOGLE, *fetched()),
        False,
        "ok 0.99 by ok.proven",
    ),
    "dead everywhere: the control too": (
        "dns.name_dead_everywhere",
        record(*twice(nxdomain()), controls=(control(nxdomain()),)),
        True,
        "down 0.874 by dns.name_dead_everywhere",
    ),
    "dead everywhere: over an encrypted channel": (
        "dns.name_dead_everywhere",
        record(
            *twice(nxdomain(), doh(failure=Failure.DNS_NXDOMAIN, rcode=3)),
            line=Line(trusted_names=1),
        ),
        True,
        "down 0.9 by dns.name_dead_everywhere",
    ),
    "dead here only": (
        "dns.name_dead_everywhere",
        record(*twice(nxdomain()), controls=(ELSEWHERE,)),
        False,
        "blocked dns.nxdomain 0.856 by dns.name_denied_here",
    ),
    "leads nowhere, everywhere": (
        "dns.leads_nowhere_everywhere",
        record(*twice(BOGON, doh("127.0.0.1"))),
        True,
        "down 0.9 by dns.leads_nowhere_everywhere",
    ),
    "leads nowhere, by unencrypted answers alone": (
        "dns.leads_nowhere_everywhere",
        record(*twice(BOGON, dns("127.0.0.1", resolver="8.8.8.8"))),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "leads nowhere for the public, and a control connects there: a laboratory on one machine": (
        "dns.leads_nowhere_everywhere",
        record(
            *twice(BOGON, doh("127.0.0.1")),
            controls=(control(dns("127.0.0.1"), *fetched("127.0.0.1")),),
        ),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "leads nowhere, here": (
        "dns.leads_nowhere_everywhere",
        record(*twice(BOGON, doh(GOOD)), page(URL)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict


def test_a_lost_packet_does_not_hide_a_denial() -> None:
    asked = (nxdomain(), doh(GOOD), *again(dns(failure=TIMEOUT)))
    seen = record(*asked, *fetched(), harmless(dns(OTHER, name="www.harmless.example")))
    proof = name_denied_here.holds(Evidence(seen))
    assert proof is not None
    assert proof.mechanisms == (Mechanism.DNS_NXDOMAIN,)
    assert verdict_on(seen) == "blocked dns.nxdomain 0.97 by dns.name_denied_here"
