"""Judge the golden cases again, and check that they pin down every rule and every confidence."""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

import probe.rules
from probe.analysis.evidence import Evidence
from probe.judge import judge
from probe.lab.cases import Case, expected, load
from probe.model import Stage
from probe.rule import Rule, Tier
from probe.rules import RULES

CASES = load(Path(__file__).parents[1] / "cases")
BY_ID = {rule.id: rule for rule in RULES}
CONTRADICTED = "verdict.contradicted"  # of `judge` itself

# Rules that decide in no case, and why.
NOT_DECIDING: dict[str, str] = {}
# Rules that hold in every record of their experiments: they decide where no other one does.
NEVER_SILENT = {
    "hello.nothing_to_compare",
    "quic.nothing_fits",
    "services.nothing_fits",
    "unclear.nothing_fits",
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_gets_the_verdict_that_it_names(case: Case) -> None:
    assert expected(judge(case.record)) == case.expect


def test_every_rule_decides_in_some_case() -> None:
    deciding = {case.expect.rule for case in CASES.values()}
    required = {rule.id for rule in RULES if rule.tier is not Tier.NOTE} | {CONTRADICTED}
    assert required - deciding == set(NOT_DECIDING)


def test_every_note_stands_in_the_verdict_of_some_case() -> None:
    named = {rule for case in CASES.values() for rule in case.expect.others}
    assert {rule.id for rule in RULES if rule.tier is Tier.NOTE} <= named


def test_every_rule_is_silent_in_some_case_of_its_experiments() -> None:
    silent: set[str] = set()
    for case in CASES.values():
        evidence = Evidence(case.record)
        asked = (rule for rule in RULES if case.record.experiment in rule.experiments)
        silent |= {r.id for r in asked if r.id not in silent and r.holds(evidence) is None}
    assert set(BY_ID) - silent == NEVER_SILENT


def test_both_stages_are_in_some_case() -> None:
    assert {case.expect.stage for case in CASES.values()} == set(Stage)


def test_a_changed_confidence_breaks_a_case() -> None:
    """Halve each number between 0 and 1 in a rule module: the confidence of some case changes."""
    decided = [
        (rule, Evidence(case.record), case.expect.confidence)
        for case in CASES.values()
        if (rule := BY_ID.get(case.expect.rule or ""))
    ]
    unnoticed = []
    for where, module, change in changes():
        nearest_first = sorted(decided, key=lambda one: one[0].holds.__module__ != module)
        with change:
            if not any(differs(*one) for one in nearest_first):
                unnoticed.append(where)
    assert unnoticed == []


def differs(rule: Rule, evidence: Evidence, confidence: float) -> bool:
    found = rule.holds(evidence)
    return found is None or round(found.confidence, 3) != confidence


def changes() -> Iterator[tuple[str, str, AbstractContextManager[None]]]:
    """Each confidence in the rule modules: where it is, its module, and what halves it."""
    noted = {rule.holds for rule in RULES if rule.tier is Tier.NOTE}  # in no verdict
    for info in pkgutil.iter_modules(probe.rules.__path__):
        module = importlib.import_module(f"probe.rules.{info.name}")
        for name, value in list(vars(module).items()):
            function = value.holds if isinstance(value, Rule) else value
            where = f"{info.name}.{name}"
            if isinstance(value, dict):
                for key, number in value.items():
                    if is_confidence(number):
                        yield f"{where}[{key}]", module.__name__, halved_item(value, key)
            elif isinstance(function, FunctionType) and function.__module__ == module.__name__:
                for number in set() if function in noted else confidences(function.__code__):
                    yield f"{where}: {number}", module.__name__, halved(function, number)


def is_confidence(value: object) -> bool:
    return isinstance(value, float) and 0 < value <= 1


def confidences(value: object) -> set[float]:
    """The numbers in a code object, also in the functions and tuples inside it."""
    if isinstance(value, CodeType | tuple):
        inner = value.co_consts if isinstance(value, CodeType) else value
        return {number for item in inner for number in confidences(item)}
    return {value} if isinstance(value, float) and is_confidence(value) else set()


@contextmanager
def halved(function: FunctionType, number: float) -> Iterator[None]:
    code = function.__code__
    function.__code__ = with_half(code, number)
    try:
        yield
    finally:
        function.__code__ = code


def with_half(value: Any, number: float) -> Any:
    if isinstance(value, CodeType):
        return value.replace(co_consts=tuple(with_half(v, number) for v in value.co_consts))
    if isinstance(value, tuple):
        return tuple(with_half(item, number) for item in value)
    return number / 2 if isinstance(value, float) and value == number else value


@contextmanager
def halved_item(numbers: dict[object, float], key: object) -> Iterator[None]:
    number = numbers[key]
    numbers[key] = number / 2
    try:
        yield
    finally:
        numbers[key] = number
