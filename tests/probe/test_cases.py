"""Judge again what the probe saw in the lab: every golden case, and every rule in some of them."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from probe.analysis.evidence import Evidence
from probe.judge import judge
from probe.lab.capture import Case
from probe.rule import WEB
from probe.rules import RULES

CASES = Path(__file__).parents[1] / "cases"

# What the lab can not play, and why. Each of these has its yes and its no in tests/probe/rules.
NOT_IN_THE_LAB = {
    "tls.known_interception_key": "nobody but its owners can sign with a known key",
    "access.names_over_tcp": "its resolvers are asked over UDP and answer there",
    "access.clock_is_wrong": "network namespaces share this machine's clock",
    "http.same_notice_elsewhere": "its middlebox reads Host headers on the way to one site only",
    "note.slow_page": "its lines bring every page that is asked for in a page's time",
}
# It is what is left when nothing else holds: it never stays silent.
THE_REST = {"unclear.nothing_fits"}


def cases() -> Iterator[Case]:
    """Every captured case, file by file."""
    for path in sorted(CASES.rglob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield msgspec.json.decode(line, type=Case)


ALL = list(cases())


@pytest.mark.parametrize("case", ALL, ids=[f"{c.scenario}-{c.record.input}" for c in ALL])
def test_a_captured_record_is_judged_as_it_should_be(case: Case) -> None:
    verdict = judge(case.record)
    assert (verdict.outcome, set(verdict.mechanisms)) == (case.outcome, set(case.mechanisms))


def test_there_are_cases() -> None:
    assert len({case.scenario for case in ALL}) > 120


def test_every_rule_on_sites_holds_in_some_case_and_is_silent_in_another() -> None:
    held: set[str] = set()
    silent: set[str] = set()
    for case in ALL:
        evidence = Evidence(case.record)
        for rule in RULES:
            if case.record.experiment in rule.experiments and set(rule.experiments) & set(WEB):
                (silent if rule.holds(evidence) is None else held).add(rule.id)
    sites = {rule.id for rule in RULES if set(rule.experiments) & set(WEB)}
    assert sites - held == set(NOT_IN_THE_LAB)
    assert sites - silent == THE_REST
