"""Forms of a plain request against middleboxes that read it in different ways."""

import pytest

from probe.lab.catalogue import request
from probe.lab.harness import Harness
from probe.lab.testbed import NetnsTestbed, unavailable_reason

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]
NAMES = [each.name for each in request.SCENARIOS]
SPELLING = "the spelling of the header, the spelling of the name, the white space before the name"
# The note of each scenario: the rule, and the end of its reason.
NOTES: dict[str, tuple[str, str] | None] = {
    "request.exact": ("request.only_some_stopped", f"{SPELLING}"),
    "request.any_case": (
        "request.only_some_stopped",
        "(no_space, space, tab, split): the filter looks at the white space before the name,",
    ),
    "request.first_segment": ("request.only_some_stopped", "the first segment alone."),
    "request.proxy": (
        "request.only_some_stopped",
        "(dot): the filter looks at what follows the name.",
    ),
    "request.page": None,
    "request.fine": None,
}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    """The reasons by rule of each scenario, and the outcome."""
    urls = {each.expect[0].url: each.name for each in request.SCENARIOS}
    with NetnsTestbed(request.SCENARIOS) as testbed:
        harness = Harness(testbed)
        harness.start_collector(list(urls))
        harness.consent()
        records = harness.probe(list(urls), "-e", "request", "--control", "none")
    reasons: dict[str, dict[str, str]] = {}
    for record in records:
        verdict = record["verdict"]
        if record["experiment"] == "request" and isinstance(verdict, dict):
            rules = {one["id"]: one["reason"] for one in verdict["rules"]}
            reasons[urls[str(record["input"])]] = {**rules, "outcome": verdict["outcome"]}
    return reasons


@pytest.mark.parametrize("name", NAMES)
def test_the_forms_show_what_the_filter_reads(found: dict[str, dict[str, str]], name: str) -> None:
    wanted, said = NOTES[name], found[name]
    assert said.pop("outcome") == "inconclusive"
    assert set(said) == {"request.compared", *([wanted[0]] if wanted else [])}
    if wanted:
        assert wanted[1] in said[wanted[0]]
