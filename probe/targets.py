"""Target lists, bundled or given by the user.

Rule: an invalid row becomes a `TargetProblem` with file and line, and the other rows are measured.
`target_rows.py` reads the formats. A list is not trusted, wherever it is from: its size, its rows
and its hosts are checked.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from probe import data_files
from probe.i18n import N_, _
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
from probe.target_rows import TargetProblem, TargetRow, decode, rows
from probe.urls import TargetError, parse_target, parse_url, slug

FILE_LIMIT = 32 * 1024 * 1024
TARGET_LIMIT = 100_000
PROBLEM_LIMIT = 1_000
NOTE_LIMIT = 500

_CATEGORY = re.compile(r"[A-Z][A-Z0-9_]{1,15}")
_LIST_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


class Target(Struct, frozen=True):
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


Loaded = tuple[tuple[Target, ...], tuple[TargetProblem, ...]]


def load(spec: str, *, lab: bool = False) -> Loaded:
    """Read a bundled list by its name, or a file; write `./kz` for a file called `kz`.

    Args:
        lab: Private hosts are valid targets.

    Raises:
        TargetError: No such list or file, or it cannot be read.
    """
    named = _LIST_NAME.fullmatch(spec) is not None
    if named and (data_files.exists(f"lists/{spec}.csv") or not Path(spec).is_file()):
        return bundled(spec)
    return parse_bytes(read(Path(spec)), spec, lab=lab)


@cache
def bundled(name: str) -> Loaded:
    """Read a bundled list."""
    path = f"lists/{name}.csv"
    if not data_files.exists(path):
        known = ", ".join(list_names())
        raise TargetError(
            _("“{name}” is neither a file nor a bundled list; lists: {known}").format(
                name=name, known=known
            )
        )
    return parse(data_files.text(path), name)


def body(spec: str) -> bytes:
    """The bytes of a bundled list or of a file, as `load` chooses; raise `TargetError`."""
    named = _LIST_NAME.fullmatch(spec) is not None and data_files.exists(f"lists/{spec}.csv")
    return data_files.text(f"lists/{spec}.csv").encode() if named else read(Path(spec))


def list_names() -> tuple[str, ...]:
    """Return the names of the bundled lists."""
    return data_files.names("lists", ".csv")


def candidates(purpose: str) -> tuple[Target, ...]:
    """Return the targets of the Kazakh list with this purpose, such as `mitm-candidate`."""
    return tuple(target for target in bundled("kz")[0] if target.purpose == purpose)


def is_list_name(spec: str) -> bool:
    """Whether a text may be the name of a list: no path, no URL."""
    return _LIST_NAME.fullmatch(spec) is not None


def parse(text: str, source: str, *, lab: bool = False, most: int | None = None) -> Loaded:
    """Parse the text of a list; outside a laboratory, private hosts are invalid rows.

    Args:
        most: The targets that are used at most.
    """
    return _collect(rows(text, source), source, lab=lab, most=most or TARGET_LIMIT)


def parse_bytes(data: bytes, source: str, *, lab: bool = False, most: int | None = None) -> Loaded:
    """Parse a list as it was read or downloaded; `TargetError` if it is no text."""
    return _collect(rows_of(data, source), source, lab=lab, most=most or TARGET_LIMIT)


def rows_of(data: bytes, source: str) -> Iterator[TargetRow | TargetProblem]:
    """The rows of a list in any of the formats, as they are written."""
    from probe import link_descriptor

    if link_descriptor.is_json(data):
        return link_descriptor.rows(data, source)
    return rows(decode(data, source), source)


def read(path: Path) -> bytes:
    """The bytes of a list's file; `TargetError` if it cannot be read or is too long."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = _(getattr(error, "strerror", None) or N_("no usable file name"))
        raise TargetError(
            _("targets file {path}: {reason}").format(path=path, reason=reason)
        ) from error
    if len(data) > FILE_LIMIT:
        raise TargetError(
            _("targets file {path}: at most {limit} MB expected").format(
                path=path, limit=FILE_LIMIT // 1024**2
            )
        )
    return data


def _collect(
    found: Iterable[TargetRow | TargetProblem], source: str, *, lab: bool, most: int
) -> Loaded:
    targets: dict[str, Target] = {}
    problems: list[TargetProblem] = []
    for row in found:
        if len(targets) >= most:
            message = _("only the first {limit} targets are used").format(limit=most)
            problems.append(TargetProblem(source, row.line, message))
            break
        if isinstance(row, TargetProblem):
            problems.append(row)
            continue
        try:
            target = _target(row, source, lab=lab)
        except TargetError as error:
            problems.append(TargetProblem(source, row.line, str(error)))
            continue
        targets.setdefault(target.url, target)
        if row.category and target.category is None:
            message = _("category: expected a code such as NEWS; measured without one")
            problems.append(TargetProblem(source, row.line, message))
    return tuple(targets.values()), tuple(problems[:PROBLEM_LIMIT])


def _target(row: TargetRow, source: str, *, lab: bool) -> Target:
    code = row.category.strip().upper()
    return Target(
        url=parse_target(row.url, lab=lab),
        category=code if _CATEGORY.fullmatch(code) else None,
        source=source,
        line=row.line,
        note=row.note[:NOTE_LIMIT],
        purpose=row.purpose,
    )


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
    "body",
    "bundled",
    "candidates",
    "harmless_names",
    "list_names",
    "load",
    "networks",
    "parse",
    "parse_bytes",
    "parse_target",
    "parse_url",
    "public_resolvers",
    "read",
    "rows_of",
    "services",
    "slug",
]
