"""Target lists, bundled or given by the user.

Rule: an invalid row becomes a `TargetProblem` with file and line, and the other rows are measured.
Three formats are recognised by content: Citizen Lab's CSV (first line `url,category_code,…`), TOML
(`[[target]]` tables) and a plain list of URLs (`#` starts a comment). A row is a line, in TOML a
table. A name that ends in `.toml` selects TOML: other content is then an error, not a list of URLs.
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from probe import data_files
from probe.reference_data import (
    Anchor,
    BlockPage,
    KnownAuthority,
    Resolver,
    anchors,
    authorities,
    blockpages,
    harmless_names,
    networks,
    public_resolvers,
    services,
)
from probe.urls import TargetError, parse_url, slug

FILE_LIMIT = 32 * 1024 * 1024
ROW_LIMIT = 16 * 1024
TARGET_LIMIT = 100_000
PROBLEM_LIMIT = 1_000
NOTE_LIMIT = 500

_TABLE = re.compile(r"^[ \t]*\[\[[ \t]*target[ \t]*\]\]", re.MULTILINE)
_AT = re.compile(r" \(at line (\d+), column \d+\)$")
_CATEGORY = re.compile(r"[A-Z][A-Z0-9_]{1,15}")
_LIST_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_KEYS = frozenset({"url", "category", "note", "purpose", "source"})


@dataclass(frozen=True, slots=True)
class Target:
    """One web address to measure.

    Attributes:
        url: As `parse_url` gives it.
        category: Citizen Lab's category code, or None.
        source, line: The file or list that it is from, and the line.
        note: Why it is on the list.
        purpose: The expected result, in bundled lists: `mitm-candidate`, `suspected`, …
    """

    url: str
    category: str | None = None
    source: str = ""
    line: int = 0
    note: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class TargetProblem:
    """An invalid row: file, line and reason."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One row as written, before validation."""

    line: int
    url: str
    category: str = ""
    note: str = ""
    purpose: str = ""


Loaded = tuple[tuple[Target, ...], tuple[TargetProblem, ...]]


def load(spec: str) -> Loaded:
    """Read a bundled list by its name, or a file; write `./kz` for a file called `kz`.

    Raises:
        TargetError: No such list or file, or it cannot be read.
    """
    named = _LIST_NAME.fullmatch(spec) is not None
    if named and (data_files.exists(f"lists/{spec}.csv") or not Path(spec).is_file()):
        return bundled(spec)
    return parse(_read(Path(spec)), spec)


@cache
def bundled(name: str) -> Loaded:
    """Read a bundled list."""
    path = f"lists/{name}.csv"
    if not data_files.exists(path):
        known = ", ".join(list_names())
        raise TargetError(f"“{name}” is neither a file nor a bundled list; lists: {known}")
    return parse(data_files.text(path), name)


def list_names() -> tuple[str, ...]:
    """Return the names of the bundled lists."""
    return data_files.names("lists", ".csv")


def candidates(purpose: str) -> tuple[Target, ...]:
    """Return the targets of the Kazakh list with this purpose, such as `mitm-candidate`."""
    return tuple(target for target in bundled("kz")[0] if target.purpose == purpose)


def parse(text: str, source: str) -> Loaded:
    """Parse the text of a list in any of the three formats."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if _TABLE.search(text) or source.lower().endswith(".toml"):
        rows = _toml_rows(text, source)
    elif _header(text):
        rows = _csv_rows(text, source)
    else:
        rows = _plain_rows(text)
    return _collect(rows, source)


def _read(path: Path) -> str:
    """Read a user's file; bytes that are not UTF-8 become surrogates and invalidate their row."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no usable file name"
        raise TargetError(f"targets file {path}: {reason}") from error
    if len(data) > FILE_LIMIT:
        raise TargetError(f"targets file {path}: at most {FILE_LIMIT // 1024**2} MB expected")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, as some Windows tools write it
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8", errors="surrogateescape")


def _collect(rows: Iterable[TargetRow | TargetProblem], source: str) -> Loaded:
    targets: dict[str, Target] = {}
    problems: list[TargetProblem] = []
    for row in rows:
        if len(targets) >= TARGET_LIMIT:
            message = f"only the first {TARGET_LIMIT} targets are used"
            problems.append(TargetProblem(source, row.line, message))
            break
        if isinstance(row, TargetProblem):
            problems.append(row)
            continue
        try:
            target = _target(row, source)
        except TargetError as error:
            problems.append(TargetProblem(source, row.line, str(error)))
            continue
        targets.setdefault(target.url, target)
        if row.category and target.category is None:
            message = "category: expected a code such as NEWS; measured without one"
            problems.append(TargetProblem(source, row.line, message))
    return tuple(targets.values()), tuple(problems[:PROBLEM_LIMIT])


def _target(row: TargetRow, source: str) -> Target:
    code = row.category.strip().upper()
    return Target(
        url=parse_url(row.url),
        category=code if _CATEGORY.fullmatch(code) else None,
        source=source,
        line=row.line,
        note=row.note[:NOTE_LIMIT],
        purpose=row.purpose,
    )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _plain_rows(text: str) -> Iterator[TargetRow]:
    for number, line in _lines(text):
        url = re.split(r"(?:^|\s)#", line[:ROW_LIMIT], maxsplit=1)[0].strip()
        if url:
            yield TargetRow(number, url)


def _header(text: str) -> list[str] | None:
    """Return the column names if the first line that is not blank is a CSV header."""
    first = next((line for _, line in _lines(text[:ROW_LIMIT])), "")
    columns = [name.strip().strip('"').lower() for name in first.split(",")]
    return columns if "url" in columns else None


def _csv_rows(text: str, source: str) -> Iterator[TargetRow | TargetProblem]:
    columns = _header(text) or []
    lines = _lines(text)
    next(lines)
    for number, line in lines:
        try:
            values = next(csv.reader([line[:ROW_LIMIT]], strict=True))
        except (csv.Error, StopIteration):
            yield TargetProblem(source, number, "not a CSV row: missing closing quotation mark?")
            continue
        cell = dict(zip(columns, values, strict=False))
        if not any(values) or cell.get("url", "").startswith("#"):
            continue
        category = cell.get("category_code", cell.get("category", ""))
        note = cell.get("notes", cell.get("note", ""))
        yield TargetRow(number, cell.get("url", ""), category, note, cell.get("purpose", ""))


def _toml_rows(text: str, source: str) -> Iterator[TargetRow | TargetProblem]:
    """Parse each `[[target]]` separately, so that an invalid one does not affect the others."""
    starts = [found.start() for found in _TABLE.finditer(text)]
    first = starts[0] if starts else len(text)
    if problem := _toml_preamble(text[:first], source):
        yield problem
    elif not starts:
        yield TargetProblem(source, 1, "no target: expected [[target]] tables with a url")
    line = 1 + text.count("\n", 0, first)
    for start, end in pairwise([*starts, len(text)]):
        yield _toml_row(text[start:end], line, source)
        line += text.count("\n", start, end)


def _toml_preamble(text: str, source: str) -> TargetProblem | None:
    """Check the text before the first table (all of it if there is no table)."""
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        line, reason = _error_line(error, 1)
        return TargetProblem(source, line, f"not TOML: {reason}")
    return None


def _toml_row(text: str, line: int, source: str) -> TargetRow | TargetProblem:
    try:
        table = tomllib.loads(text[:ROW_LIMIT])["target"][0]
    except (ValueError, RecursionError, LookupError) as error:
        where, reason = _error_line(error, line)
        at = f" (line {where})" if where > line else ""
        return TargetProblem(source, line, f"not a TOML table: {reason}{at}")
    unknown = sorted(set(table) - _KEYS)
    if unknown or not all(isinstance(value, str) for value in table.values()):
        what = f"unknown key {unknown[0]}" if unknown else "a value that is not a string"
        return TargetProblem(
            source, line, f"{what}: expected {', '.join(sorted(_KEYS))}, as strings"
        )
    cell = {"url": "", "category": "", "note": "", "purpose": "", **table}
    return TargetRow(line, cell["url"], cell["category"], cell["note"], cell["purpose"])


def _error_line(error: Exception, first: int) -> tuple[int, str]:
    """Return line and message of an error in a text that begins at line `first` of its file."""
    message = " ".join(str(error).split())[:200] or type(error).__name__
    found = _AT.search(message)  # before Python 3.14 only the message has the line
    return (first + int(found[1]) - 1, message[: found.start()]) if found else (first, message)


__all__ = [
    "Anchor",
    "BlockPage",
    "KnownAuthority",
    "Resolver",
    "Target",
    "TargetError",
    "TargetProblem",
    "anchors",
    "authorities",
    "blockpages",
    "bundled",
    "candidates",
    "harmless_names",
    "list_names",
    "load",
    "networks",
    "parse",
    "parse_url",
    "public_resolvers",
    "services",
    "slug",
]
