"""A server's own filter: it turns one name away, or bans the client that asked for it."""

from msgspec.structs import replace

from probe.explanations.servers import BANNED, UNWELCOME
from probe.failure import Failure
from probe.judge import judge
from probe.model import Outcome
from tests.build import (
    GOOD,
    OTHER,
    UNRELATED,
    VALID,
    again,
    at_unrelated,
    control,
    dns,
    fetched,
    harmless,
    record,
    reference,
    tcp,
    tls,
)

RESET = (tcp(), tls(failure=Failure.RESET))
BAN = harmless(tcp(failure=Failure.REFUSED))
SEEN = (dns(GOOD), harmless(tcp()), harmless(tls()), *RESET, BAN, *again(*RESET), BAN)
REFERENCE = reference(tls(OTHER, sni="r"))
ELSEWHERE = control(dns(GOOD), *fetched(), age=60.0)


def test_an_address_that_answers_nothing_since_may_have_banned_this_client() -> None:
    for controls in ((), (ELSEWHERE,)):
        verdict = judge(record(*SEEN, REFERENCE, controls=controls))
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.rules[0].reason == BANNED


def test_an_unrelated_server_that_is_lost_as_well_was_banned_by_no_site() -> None:
    offered = at_unrelated(tls(failure=Failure.RESET))
    before = harmless(tls(UNRELATED, trust=replace(VALID, leaf_key="another")))
    lost = (before, offered, harmless(tcp(UNRELATED, failure=Failure.REFUSED)))
    verdict = judge(record(*SEEN, *lost, REFERENCE, controls=(ELSEWHERE,)))
    assert verdict.outcome is Outcome.BLOCKED
    assert verdict.rules[0].id == "tls.address_blocked_after_trigger"


def test_a_server_that_resets_every_name_may_turn_away_this_client() -> None:
    turned_away = harmless(tls(failure=Failure.RESET))
    around = (harmless(tls(UNRELATED)), at_unrelated(tls()), harmless(tls(UNRELATED)))
    steps = (*RESET, turned_away, *again(*RESET), turned_away, *around, REFERENCE)
    verdict = judge(record(dns(GOOD), *steps, controls=(ELSEWHERE,)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].reason == UNWELCOME
