"""The rows of a target list as they are written, before any URL is validated.

Four formats are recognised by content: CSV with a header line that has a column `url` (Citizen
Lab's order, or any other), CSV without a header, TOML (`[[target]]` tables) and a plain list of
URLs (`#` starts a comment). CSV may be separated by commas, semicolons (as Excel writes it where
the comma is the decimal sign) or tabs. A name that ends in `.toml` selects TOML: other content is
then an error, not a list of URLs. `link_descriptor.py` reads a fifth format, JSON.
"""

import csv
import io
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from probe.i18n import _
from probe.urls import TargetError, parse_target

ROW_LIMIT = 16 * 1024
# Lines of one CSV row: a note may have line breaks, and a lost quotation mark must not take the
# rest of the file.
ROW_LINES = 20

_DELIMITERS = (",", ";", "\t")
_TABLE = re.compile(r"^[ \t]*\[\[[ \t]*target[ \t]*\]\]", re.MULTILINE)
_AT = re.compile(r" \(at line (\d+), column \d+\)$")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,15}")
_ADDRESS = re.compile(r'"?https?://', re.IGNORECASE)
_SITE = re.compile(r"https?://[^/?#]+/?", re.IGNORECASE)
_KEYS = frozenset({"url", "category", "note", "purpose", "source"})
# The columns of Citizen Lab's lists, for a file without its header.
COLUMNS = ("url", "category_code", "category_description", "date_added", "source", "notes")
_TOML_COLUMNS = {"category": "category_code", "note": "notes"}
# In UTF-8 no two such bytes follow each other; in CP1251 they are Cyrillic letters.
_CP1251 = re.compile(rb"[\xc0-\xff]{4}")


class TargetProblem(Struct, frozen=True):
    """An invalid row: file, line and reason."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class TargetRow(Struct, frozen=True):
    """One row as written, before validation.

    Attributes:
        cells: Every column by its name as written, and its text unchanged.
    """

    line: int
    url: str
    category: str = ""
    note: str = ""
    purpose: str = ""
    cells: tuple[tuple[str, str], ...] = ()


class _CsvShape(Struct, frozen=True):
    """How a CSV file is written: its separator, its columns, and whether a header names them.

    Attributes:
        columns: Their names as written, each once.
    """

    delimiter: str
    columns: tuple[str, ...]
    header: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The names in small letters, as they are looked up."""
        return tuple(name.lower() for name in self.columns)


def decode(data: bytes, source: str) -> str:
    """Decode a list: UTF-8, UTF-16 or Windows-1251; raise `TargetError` for what is no text.

    Other bytes become surrogates, which invalidate their own row only.
    """
    if data.startswith(b"PK\x03\x04"):
        raise TargetError(_("{file}: a spreadsheet or archive; save it as CSV").format(file=source))
    if b"\0" not in data[:1000]:
        if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"{")):
            cyrillic = _CP1251.search(data) is not None
            return data.decode("cp1251" if cyrillic else "utf-8", errors="surrogateescape")
        message = _("{file}: a web page, XML or JSON; CSV or a list of URLs expected")
        raise TargetError(message.format(file=source))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    message = _("{file}: not a text file; CSV or a list of URLs expected")
    raise TargetError(message.format(file=source))


def rows(text: str, source: str) -> Iterator[TargetRow | TargetProblem]:
    """Parse the text of a list in any of the formats."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if _TABLE.search(text) or source.lower().endswith(".toml"):
        return _toml_rows(text, source)
    if (shape := _csv_shape(text)) is not None:
        return _csv_rows(text, shape, source)
    return _plain_rows(text)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _plain_rows(text: str) -> Iterator[TargetRow]:
    for number, line in _lines(text):
        url = re.split(r"(?:^|\s)#", line[:ROW_LIMIT], maxsplit=1)[0].strip()
        if url:
            yield TargetRow(number, url, cells=(("url", url),))


# --- CSV ------------------------------------------------------------------------------------------


def _csv_shape(text: str) -> _CsvShape | None:
    """How a CSV is written, by its first line that says something; None for another format."""
    lines = (line for _, line in _lines(text[:ROW_LIMIT]))
    first = next((line for line in lines if not _is_remark(line)), "")
    for delimiter in _DELIMITERS:
        names = _column_names(first, delimiter)
        if "url" in {name.lower() for name in names}:
            return _CsvShape(delimiter, names, header=True)
    for delimiter in _DELIMITERS:
        if _is_csv_row(first, delimiter):
            return _CsvShape(delimiter, COLUMNS, header=False)
    return None


def _column_names(line: str, delimiter: str) -> tuple[str, ...]:
    """The names in a header line; one that is missing or there already is numbered."""
    written = _cells(line, delimiter) or [one.strip('" ') for one in line.split(delimiter)]
    found: list[str] = []
    for number, cell in enumerate(written, 1):
        name = cell.strip()
        known = {one.lower() for one in found}
        found.append(name if name and name.lower() not in known else f"{name or 'column'} {number}")
    return tuple(found)


def _is_remark(line: str) -> bool:
    """A comment, or the line by which Excel names its separator."""
    return line.lstrip().startswith("#") or line.strip().lower() in {"sep=,", "sep=;", "sep=\t"}


def _is_csv_row(line: str, delimiter: str) -> bool:
    """Whether a line is a URL and more cells; a URL may itself contain a separator."""
    cells = [cell.strip() for cell in _cells(line, delimiter, strict=False) or ()]
    if len(cells) < 2 or " " in cells[0]:
        return False
    try:
        parse_target(cells[0], lab=True)
    except TargetError:
        return False
    quoted = line.lstrip().startswith('"')
    return quoted or bool(_CODE.fullmatch(cells[1] or "NO") or _SITE.fullmatch(cells[0]))


def _cells(row: str, delimiter: str, *, strict: bool = True) -> list[str] | None:
    """The cells of one row, or None if it is not complete (`strict`) or empty."""
    # It ends lines at \n alone: other separators are text.
    lines = io.StringIO(row, newline="\n")
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=strict))
    except (csv.Error, StopIteration):
        return None


def _csv_rows(text: str, shape: _CsvShape, source: str) -> Iterator[TargetRow | TargetProblem]:
    lines = text.split("\n")
    header, at = shape.header, 0
    while at < len(lines):
        number, line = at + 1, lines[at]
        at += 1
        if not line.strip() or _is_remark(line):
            continue
        if header:
            header = False
            continue
        values, more = _csv_row(lines, number - 1, shape)
        at += more
        if values is None:
            message = _("not a CSV row: missing closing quotation mark?")
            yield TargetProblem(source, number, message)
        elif any(values):
            yield _csv_target(number, values, shape)


def _csv_row(lines: list[str], first: int, shape: _CsvShape) -> tuple[list[str] | None, int]:
    """The cells of the row that begins at a line, and how many more lines it takes."""
    row = lines[first][:ROW_LIMIT]
    values = _cells(row, shape.delimiter)
    doubtful = False
    for more in range(1, ROW_LINES):
        if values is not None or first + more >= len(lines) or len(row) > ROW_LIMIT:
            break
        following = lines[first + more][:ROW_LIMIT]
        # A line of a note, or the next row because a quotation mark is missing: then there are not
        # as many cells as columns.
        doubtful = doubtful or _ADDRESS.match(following) is not None
        row = f"{row}\n{following}"
        if '"' in following and (values := _cells(row, shape.delimiter)) is not None:
            lost = doubtful and len(values) != len(shape.columns)
            return (None, 0) if lost else (values, more)
    return values, 0


def _csv_target(number: int, values: list[str], shape: _CsvShape) -> TargetRow:
    cell = dict(zip(shape.names, values, strict=False))
    category = cell.get("category_code", cell.get("category", ""))
    note = " ".join(cell.get("notes", cell.get("note", "")).split())
    more = (f"column {number}" for number in range(len(shape.columns) + 1, len(values) + 1))
    cells = tuple(zip((*shape.columns, *more), values, strict=False))
    return TargetRow(number, cell.get("url", ""), category, note, cell.get("purpose", ""), cells)


# --- TOML -----------------------------------------------------------------------------------------


def _toml_rows(text: str, source: str) -> Iterator[TargetRow | TargetProblem]:
    """Parse each `[[target]]` separately, so that an invalid one does not affect the others."""
    starts = [found.start() for found in _TABLE.finditer(text)]
    first = starts[0] if starts else len(text)
    if problem := _toml_preamble(text[:first], source):
        yield problem
    elif not starts:
        yield TargetProblem(source, 1, _("no target: expected [[target]] tables with a url"))
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
        return TargetProblem(source, line, _("not TOML: {reason}").format(reason=reason))
    return None


def _toml_row(text: str, line: int, source: str) -> TargetRow | TargetProblem:
    try:
        table = tomllib.loads(text[:ROW_LIMIT])["target"][0]
    except (ValueError, RecursionError, LookupError) as error:
        where, reason = _error_line(error, line)
        at = f" (line {where})" if where > line else ""
        return TargetProblem(
            source, line, _("not a TOML table: {reason}{at}").format(reason=reason, at=at)
        )
    unknown = sorted(set(table) - _KEYS)
    if unknown or not all(isinstance(value, str) for value in table.values()):
        what = (
            _("unknown key {key}").format(key=unknown[0])
            if unknown
            else _("a value that is not a string")
        )
        return TargetProblem(
            source,
            line,
            _("{what}: expected {keys}, as strings").format(
                what=what, keys=", ".join(sorted(_KEYS))
            ),
        )
    cell = {"url": "", "category": "", "note": "", "purpose": "", **table}
    cells = tuple((_TOML_COLUMNS.get(key) or key, str(value)) for key, value in table.items())
    return TargetRow(line, cell["url"], cell["category"], cell["note"], cell["purpose"], cells)


def _error_line(error: Exception, first: int) -> tuple[int, str]:
    """Return line and message of an error in a text that begins at line `first` of its file."""
    message = " ".join(str(error).split())[:200] or type(error).__name__
    found = _AT.search(message)  # before Python 3.14 only the message has the line
    return (first + int(found[1]) - 1, message[: found.start()]) if found else (first, message)
