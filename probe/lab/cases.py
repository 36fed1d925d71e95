"""Golden cases: one record and the verdict it must get, in one JSON file that a person can read.

A case is `FOLDER/<experiment>/<name>.json`: one sentence that says what it shows, the expected
verdict (outcome, mechanisms, deciding rule, other rules, stage, confidence), and the record without
its verdict. A file has exactly one form, that of `text`: values equal to the model's defaults are
left out, and a value that fits on a line stands on one line. So a case with an unknown or repeated
field, or one that was formatted by hand, is rejected with the first line that differs.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from probe.judge import judge
from probe.model import Data, Mechanism, Outcome, Record, Stage, Verdict

WIDTH = 118  # columns
LIMIT = 64 * 1024  # bytes of one file
NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")

_Json = dict[str, Any] | list[Any] | str | int | float | bool | None


class CaseError(ValueError):
    """Files that are no golden cases; the message has one line for each."""


class ExpectedVerdict(Data, frozen=True, kw_only=True):
    """The verdict that a record must get.

    Attributes:
        rule: The rule that decides; None where no rule holds.
        others: The other rules in the verdict, in order.
    """

    outcome: Outcome
    mechanisms: tuple[Mechanism, ...] = ()
    rule: str | None
    others: tuple[str, ...] = ()
    stage: Stage
    confidence: float


class Case(Data, frozen=True, kw_only=True):
    """One record and the right verdict on it.

    Attributes:
        shows: One sentence: what happened on the network, and what a right verdict says of it.
        scenario: The lab scenario that it was captured in; None for a constructed record.
    """

    shows: str
    scenario: str | None = None
    expect: ExpectedVerdict
    record: Record


def expected(verdict: Verdict) -> ExpectedVerdict:
    """The part of a verdict that a case pins down."""
    rules = [hit.id for hit in verdict.rules]
    return ExpectedVerdict(
        outcome=verdict.outcome,
        mechanisms=verdict.mechanisms,
        rule=rules[0] if rules else None,
        others=tuple(rules[1:]),
        stage=verdict.stage,
        confidence=verdict.confidence,
    )


def judged(case: Case) -> Record:
    """The record of a case with the verdict that the rules give it now."""
    return msgspec.structs.replace(case.record, verdict=judge(case.record))


# --- reading ---------------------------------------------------------------------------------


def load(folder: Path) -> dict[str, Case]:
    """Every case by its name, `<experiment>/<file>`; `CaseError` names all bad files."""
    found: dict[str, Case] = {}
    problems: list[str] = []
    for path in sorted(each for each in folder.rglob("*") if not each.is_dir()):
        try:
            found[path.relative_to(folder).with_suffix("").as_posix()] = _read(path, folder)
        except CaseError as error:
            problems.append(f"{path.relative_to(folder)}: {error}")
    problems += _copies(found)
    if problems:
        raise CaseError("\n".join(problems))
    return found


def read(path: Path) -> Case:
    """One case; `CaseError` says why the file is none."""
    raw = path.read_bytes()
    try:
        case = msgspec.json.decode(raw, type=Case)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise CaseError(f"is no case: {error}") from error
    if len(raw) > LIMIT:
        raise CaseError(f"has {len(raw)} bytes, at most {LIMIT} are allowed")
    if not case.shows.endswith("."):
        raise CaseError("`shows` must say in one sentence what the case shows")
    if case.record.verdict is not None:
        raise CaseError("the record has a verdict; it belongs in `expect`")
    wanted = text(case)
    if raw == wanted.encode():
        return case
    lines = zip(raw.decode().splitlines(), wanted.splitlines(), strict=False)
    for number, (line, right) in enumerate(lines, start=1):
        if line != right:
            raise CaseError(f"line {number} should be {right.strip()!r} and is {line.strip()!r}")
    raise CaseError(f"should have {len(wanted.splitlines())} lines and one newline at the end")


def _read(path: Path, folder: Path) -> Case:
    """One case, in the folder of its experiment and with a permitted name."""
    where = path.relative_to(folder)
    if len(where.parts) != 2 or where.suffix != ".json" or not NAME.fullmatch(where.stem):
        raise CaseError("a case is named <experiment>/<lower_case_words>.json")
    case = read(path)
    if case.record.experiment != where.parts[0]:
        raise CaseError(f"is of experiment {case.record.experiment}: wrong folder")
    return case


def _copies(cases: dict[str, Case]) -> Iterator[str]:
    """Cases that were copied and not changed."""
    seen: dict[object, str] = {}
    for name, case in cases.items():
        for key in (case.shows, msgspec.json.encode(case.record)):
            first = seen.setdefault((case.record.experiment, key), name)
            if first != name:
                yield f"{name}.json: has the same sentence or record as {first}.json"


# --- writing ---------------------------------------------------------------------------------


def text(case: Case) -> str:
    """The file of a case."""
    return _pretty(_bare(case)) + "\n"


def _bare(value: Any) -> Any:
    """JSON values of a struct without the fields that have their default."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        if config.array_like:
            return msgspec.to_builtins(value)
        tag = {config.tag_field: config.tag} if config.tag_field else {}
        known = ((f, getattr(value, f.name)) for f in _fields(type(value)))
        return {**tag, **{f.encode_name: _bare(v) for f, v in known if v != _default(f)}}
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    return msgspec.to_builtins(value)


_fields = cache(msgspec.structs.fields)


def _default(field: msgspec.structs.FieldInfo) -> object:
    """What a missing field is read as; for a required field, what no value is equal to."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _pretty(value: _Json, indent: int = 0) -> str:
    """JSON in which everything that fits on a line stands on one, and no object is a tower.

    The fields of an object that does not fit are wrapped like words; only those of the case and of
    its record, and the items of lists, begin a line each.
    """
    line = json.dumps(value, ensure_ascii=False)
    if indent + len(line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    pad = "\n" + " " * (indent + 2)
    if isinstance(value, list):
        return "[" + ",".join(pad + _pretty(item, indent + 2) for item in value) + pad[:-2] + "]"
    fields = [f"{json.dumps(key)}: {_pretty(item, indent + 2)}" for key, item in value.items()]
    if indent < 4:
        return "{" + ",".join(pad + field for field in fields) + pad[:-2] + "}"
    lines = [""]
    for field in fields:
        if lines[-1] and indent + 4 + len(lines[-1]) + len(field) > WIDTH:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{field},"
    return "{" + "".join(pad + each for each in lines)[:-1] + pad[:-2] + "}"
