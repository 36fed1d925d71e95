"""The named questions: one SQL text each, the same for DuckDB and Spark.

Rule: a question is written in what both engines know; a test runs each on both and compares the
rows. A parameter is `:name`; the second line of comments says what it means, and it has a default.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

from collector.settings import SettingsError

_FOLDER = "sql"
_VIEWS = "views"
_PARAM = re.compile(r"(?<!:):([a-z_]+)")
_QUESTION = re.compile(r"(select|with)\b", re.IGNORECASE)
_COMMENT = re.compile(r"^-- ?(.*)$", re.MULTILINE)
_PERIODS = ("day", "week", "month", "year")
_DEFAULTS = MappingProxyType({"since": "0001-01-01", "until": "9999-01-01", "by": "day"})


class LakeQuestion(NamedTuple):
    """One question: its name, what it answers, its text, and its parameters with defaults."""

    name: str
    about: str
    sql: str
    params: Mapping[str, str]


@cache
def questions() -> Mapping[str, LakeQuestion]:
    """Every question by its name."""
    folder = resources.files("collector.lake") / _FOLDER
    names = sorted(file.name.removesuffix(".sql") for file in folder.iterdir())
    return {name: question(_read(name), name) for name in names if name != _VIEWS}


def views() -> str:
    """The view that the questions build on."""
    return _COMMENT.sub("", _read(_VIEWS)).strip().removesuffix(";")


def question(text: str, name: str = "") -> LakeQuestion:
    """A question from its text.

    Raises:
        SettingsError: It is another statement than a question, which could change what is there.
    """
    about = " ".join(_COMMENT.findall(text))
    sql = _COMMENT.sub("", text).strip().removesuffix(";")
    if not _QUESTION.match(sql) or ";" in sql:
        raise SettingsError("lake query --sql: one question expected: SELECT … or WITH … SELECT …")
    params = {one: _DEFAULTS.get(one, "") for one in _PARAM.findall(sql)}
    return LakeQuestion(name, about, sql, params)


def find(name: str) -> LakeQuestion:
    """The question of this name.

    Raises:
        SettingsError: There is none; the message lists what there is.
    """
    known = questions()
    if name not in known:
        raise SettingsError(f"lake query “{name}”: one of {', '.join(known)} expected")
    return known[name]


def filled(asked: LakeQuestion, given: Mapping[str, str]) -> Mapping[str, str]:
    """The value of each parameter.

    Raises:
        SettingsError: The question has no such parameter.
    """
    unknown = sorted(set(given) - set(asked.params))
    if unknown:
        known = ", ".join(asked.params) or "none"
        raise SettingsError(f"--param {unknown[0]}: the question knows {known}")
    for name, value in given.items():
        expected = _expected(name, value)
        if expected:
            raise SettingsError(f"--param {name}={value}: {expected} expected")
    return {**asked.params, **given}


def _expected(name: str, value: str) -> str:
    """What a parameter of this name has to be; nothing where it is. Engines take it for no row."""
    if name == "by":
        return "" if value in _PERIODS else f"one of {', '.join(_PERIODS)}"
    if name not in {"since", "until"}:
        return ""
    try:
        date.fromisoformat(value)
    except ValueError:
        return "a day such as 2026-11-21"
    return ""


def with_dollars(sql: str) -> str:
    """The text with parameters as DuckDB writes them."""
    return _PARAM.sub(r"$\1", sql)


def _read(name: str) -> str:
    file = resources.files("collector.lake") / _FOLDER / f"{name}.sql"
    return file.read_text(encoding="utf-8")
