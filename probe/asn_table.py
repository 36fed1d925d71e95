"""Read a table that maps address ranges to autonomous systems, and look addresses up in it.

The table is text, plain or gzip, one range a line, fields separated by tabs or commas:
`first,last,asn[,country[,name]]` (as iptoasn.com gives it), or
`network/prefix,asn[,country[,name]]`. `look_up` reads it once for a few addresses; the collector
builds an index of it (`collector/asn.py`).
"""

import gzip
import re
import zlib
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from probe import reference_data
from probe.i18n import _

_MAX_LINES = 4_000_000
_MAX_LINE_BYTES = 1024
_SEPARATOR = re.compile(r"[\t,]")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAX_NAME = 80


class AsnTableError(ValueError):
    """A table that cannot be read; the message is one line."""


class AsnRange(NamedTuple):
    """One line of a table: the addresses from `first` to `last`, both included.

    Attributes:
        version: 4 or 6.
        asn: 0: not announced.
        country, name: Empty: not known.
    """

    version: int
    first: int
    last: int
    asn: int
    country: str
    name: str


class Owner(Struct, frozen=True):
    """The network that an address belongs to; None: not known."""

    asn: int | None = None
    country: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        number = f"AS{self.asn}" if self.asn else None
        return ", ".join(part for part in (number, self.name, self.country) if part) or "unknown"


UNKNOWN_OWNER = Owner()


def look_up(table: Path | None, addresses: Collection[str]) -> dict[str, Owner]:
    """The owners of those IPv4 addresses that are in the table; unreadable lines are skipped.

    Raises:
        AsnTableError: The file cannot be read.
    """
    wanted = {int(IPv4Address(address)): address for address in addresses}
    found: dict[str, Owner] = {}
    if table is None or not wanted:
        return found
    octets = {number >> 24 for number in wanted}
    for each in _valid_ranges(table, octets):
        if each.asn and each.version == 4:
            for number, address in wanted.items():
                if each.first <= number <= each.last:
                    name = reference_data.networks().get(each.asn) or each.name or None
                    found[address] = Owner(each.asn, each.country or None, name)
    return found


def check(table: Path | None) -> None:
    """Raise `AsnTableError` unless the file has at least one range of IPv4 addresses."""
    if table is not None and not any(each.version == 4 for each in _valid_ranges(table)):
        raise AsnTableError(_("{table}: no line is a range of IPv4 addresses").format(table=table))


def read_lines(table: Path) -> Iterator[str]:
    """The lines of a table, unpacked if it is gzip; at most 4 million, cut at 1024 bytes.

    Raises:
        AsnTableError: The file cannot be read.
    """
    try:
        with table.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            lines = gzip.GzipFile(fileobj=file) if packed else file
            for _number in range(_MAX_LINES):
                line = lines.readline(_MAX_LINE_BYTES)
                if not line:
                    return
                yield line.decode("utf-8", "replace")
                while len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = lines.readline(_MAX_LINE_BYTES)  # the rest of it is not a line
    except (OSError, EOFError, zlib.error) as error:
        raise AsnTableError(
            _("{table}: cannot be read ({reason})").format(table=table, reason=type(error).__name__)
        ) from error


def parse_line(line: str) -> AsnRange:
    """One range; raises `ValueError` if the line is none."""
    cells = [cell.strip().strip('"') for cell in _SEPARATOR.split(line, maxsplit=4)]
    if "/" in cells[0]:
        network = ip_network(cells[0], strict=False)
        first, last, rest = network[0], network[-1], cells[1:]
    else:
        if len(cells) < 3:
            raise ValueError("first, last and asn expected")
        first, last, rest = ip_address(cells[0]), ip_address(cells[1]), cells[2:]
    asn = int(rest[0].upper().removeprefix("AS")) if rest else -1
    if first.version != last.version or int(first) > int(last) or not 0 <= asn < 2**32:
        raise ValueError("the range or the number of the network makes no sense")
    country = rest[1].upper() if len(rest) > 1 else ""
    return AsnRange(
        first.version,
        int(first),
        int(last),
        asn,
        country if _COUNTRY.fullmatch(country) else "",
        ", ".join(cell for cell in rest[2:] if cell)[:_MAX_NAME],
    )


def _valid_ranges(table: Path, octets: Collection[int] = ()) -> Iterator[AsnRange]:
    """The ranges of a table; of IPv4 only those that may hold an address with these first octets.

    A whole table has half a million lines, and most of them need not be parsed.
    """
    for line in read_lines(table):
        try:
            if not octets or _may_hold(line, octets):
                yield parse_line(line)
        except ValueError:
            continue


def _may_hold(line: str, octets: Collection[int]) -> bool:
    """Whether a line `first,last,…` may hold an address that begins with one of these octets."""
    begin, end, *_rest = [*_SEPARATOR.split(line, maxsplit=2), ""]
    if "." not in begin or "." not in end:
        return True
    first, last = (int(cell.strip(' "').partition(".")[0]) for cell in (begin, end))
    return any(first <= octet <= last for octet in octets)
