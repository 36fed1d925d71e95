"""Whose network an address is in, by a table on this machine: a few addresses, read through once.

The table is text, plain or gzip, one range a line, with tabs or commas:
`first,last,asn,country,name` (as iptoasn.com gives it), or `network/prefix,asn[,country[,name]]`.
"""

import gzip
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from pathlib import Path

from probe import reference_data

_LINES = 4_000_000
_LINE = 1024


class OwnersError(ValueError):
    """A table that cannot be read; one line."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an address is; None: not known."""

    asn: int | None = None
    country: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        number = f"AS{self.asn}" if self.asn else None
        return ", ".join(part for part in (number, self.name, self.country) if part) or "unknown"


NOBODY = Owner()


def look_up(table: Path | None, addresses: Collection[str]) -> dict[str, Owner]:
    """The owners of those addresses that the table knows."""
    wanted = {int(IPv4Address(address)): address for address in addresses}
    found: dict[str, Owner] = {}
    if table is None or not wanted:
        return found
    try:
        for first, last, owner in _ranges(table):
            if owner.asn:
                inside = (number for number in wanted if first <= number <= last)
                found.update((wanted[number], owner) for number in inside)
    except (OSError, EOFError) as error:
        raise OwnersError(f"{table}: cannot be read ({type(error).__name__})") from error
    return found


def check(table: Path | None) -> None:
    """Raise `OwnersError` for a table that is none."""
    try:
        if table is not None and next(_ranges(table), None) is None:
            raise OwnersError(f"{table}: no line of it is a range of addresses")
    except (OSError, EOFError) as error:
        raise OwnersError(f"{table}: cannot be read ({type(error).__name__})") from error


def _ranges(table: Path) -> Iterator[tuple[int, int, Owner]]:
    with table.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        lines = gzip.GzipFile(fileobj=file) if packed else file
        for _ in range(_LINES):
            line = lines.readline(_LINE)
            if not line:
                return
            parsed = _range(line.decode("utf-8", "replace"))
            if parsed is not None:
                yield parsed


def _range(line: str) -> tuple[int, int, Owner] | None:
    """One line; None for a comment, IPv6, or what is no range."""
    cells = [cell.strip() for cell in re.split(r"[\t,]", line.rstrip("\n"), maxsplit=4)]
    try:
        if "/" in cells[0]:
            network = ip_network(cells[0], strict=False)
            first, last, rest = network[0], network[-1], cells[1:]
        else:
            first, last, rest = IPv4Address(cells[0]), IPv4Address(cells[1]), cells[2:]
        return int(IPv4Address(first)), int(IPv4Address(last)), _owner([*rest, "", "", ""])
    except (ValueError, IndexError):
        return None


def _owner(cells: list[str]) -> Owner:
    asn = int(cells[0].removeprefix("AS") or 0)
    country = cells[1] if re.fullmatch("[A-Z]{2}", cells[1]) else None
    said = ", ".join(cell for cell in cells[2:] if cell).strip('"')
    name = reference_data.networks().get(asn) or said[:80] or None
    return Owner(asn or None, country, name)
