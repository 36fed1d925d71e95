"""Country and ASN of an address, from a table on this machine.

Rule: an address comes in, two facts go out, and nothing is kept. The table is four sorted arrays
(where a range begins, and whose it is, for IPv4 and for the first half of IPv6): half a million
ranges take 6 MB and a look takes microseconds.

Two formats are read: our own (`qazcollector asn-table` makes it) and text, one range a line, comma
or tab between: `first,last,asn[,country[,name]]` (as iptoasn.com gives it), or
`network/prefix,asn[,country]`; plain or gzip.
"""

import gzip
import ipaddress
import re
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_MAGIC = b"qazasn1\n"
_COUNTRY = re.compile(r"[A-Z]{2}")
SIZE_LIMIT = 512 * 1024 * 1024


class TableError(ValueError):
    """A table that cannot be read; one line: file, line, what was expected."""


class Origin(NamedTuple):
    """Where an address belongs; None: not known."""

    country: str | None = None
    asn: int | None = None


class _Range(NamedTuple):
    first: int
    last: int
    asn: int
    country: str


@dataclass(frozen=True, slots=True)
class _Half:
    """One address family: starts of ranges, sorted, and the owner from there on."""

    starts: "array[int]"
    asns: "array[int]"
    countries: "array[int]" = field(default_factory=lambda: array("H"))

    def lookup(self, number: int) -> Origin:
        place = bisect_right(self.starts, number) - 1
        if place < 0:
            return Origin()
        code = self.countries[place]
        country = chr(code >> 8) + chr(code & 255) if code else None
        return Origin(country, self.asns[place] or None)


@dataclass(frozen=True, slots=True)
class Table:
    """Owners of address ranges."""

    four: _Half
    six: _Half

    @classmethod
    def empty(cls) -> "Table":
        """A table that knows nothing."""
        return cls(_build(()), _build((), wide=True))

    def lookup(self, address: str | None) -> Origin:
        """Whose an address is."""
        try:
            parsed = ipaddress.ip_address((address or "").partition("%")[0])
        except ValueError:
            return Origin()
        if isinstance(parsed, ipaddress.IPv6Address):
            if parsed.ipv4_mapped is None:
                return self.six.lookup(int(parsed) >> 64)
            parsed = parsed.ipv4_mapped
        return self.four.lookup(int(parsed))

    def dump(self) -> bytes:
        """The table in our own format."""
        body = b"".join(
            len(numbers).to_bytes(8, "little") + _little(numbers).tobytes()
            for half in (self.four, self.six)
            for numbers in (half.starts, half.asns, half.countries)
        )
        return _MAGIC + zlib.compress(body, 9)


def load(path: Path) -> Table:
    """Read a table from a file in either format.

    Raises:
        TableError: it cannot be read.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(path) as file:
                data = file.read(SIZE_LIMIT)
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"ASN table {path}: cannot be read ({error})") from error
    if data.startswith(_MAGIC):
        return _undump(data, path)
    return parse(data.decode("utf-8", "replace"), str(path))


def parse(text: str, source: str) -> Table:
    """Read a table from text."""
    ranges = list(_ranges(text, source))
    four = (r for wide, r in ranges if not wide)
    six = (r for wide, r in ranges if wide)
    return Table(_build(four), _build(six, wide=True))


def _ranges(text: str, source: str) -> Iterator[tuple[bool, _Range]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip().strip('"') for cell in re.split(r"[\t,]", line, maxsplit=4)]
        try:
            yield _range(cells)
        except (ValueError, IndexError) as error:
            expected = "first,last,asn,country or network/prefix,asn,country expected"
            raise TableError(f"{source}:{number}: {expected}") from error


def _range(cells: list[str]) -> tuple[bool, _Range]:
    if "/" in cells[0]:
        network = ipaddress.ip_network(cells[0], strict=False)
        first, last, rest = network[0], network[-1], cells[1:]
    else:
        first, last, rest = (*map(ipaddress.ip_address, cells[:2]), cells[2:])
    if first.version != last.version or first > last:  # type: ignore[operator]
        raise ValueError
    wide = first.version == 6
    shift = 64 if wide else 0
    country = rest[1].upper() if len(rest) > 1 else ""
    known = country if _COUNTRY.fullmatch(country) else ""
    asn = int(rest[0].upper().removeprefix("AS"))
    if not 0 <= asn < 2**32:
        raise ValueError
    return wide, _Range(int(first) >> shift, int(last) >> shift, asn, known)


def _build(ranges: Iterable[_Range], *, wide: bool = False) -> _Half:
    """Sort ranges and mark the gaps between them as nobody's."""
    half = _Half(array("Q" if wide else "I"), array("I"), array("H"))
    free = 0
    for one in sorted(ranges):
        if one.last < free:
            continue
        first = max(one.first, free)
        if first > free or not half.starts:
            _append(half, free, 0, "")
        _append(half, first, one.asn, one.country)
        free = one.last + 1
    if free <= (2**64 - 1 if wide else 2**32 - 1):
        _append(half, free, 0, "")
    return half


def _append(half: _Half, start: int, asn: int, country: str) -> None:
    code = (ord(country[0]) << 8 | ord(country[1])) if country else 0
    if half.starts and half.starts[-1] == start:
        half.asns[-1], half.countries[-1] = asn, code
    elif not half.starts or (half.asns[-1], half.countries[-1]) != (asn, code):
        half.starts.append(start)
        half.asns.append(asn)
        half.countries.append(code)


def _little(numbers: "array[int]") -> "array[int]":
    """The same numbers, little-endian in memory."""
    if sys.byteorder == "little":
        return numbers
    swapped = array(numbers.typecode, numbers)
    swapped.byteswap()
    return swapped


def _undump(data: bytes, path: Path) -> Table:
    halves: list[_Half] = []
    try:
        inflater = zlib.decompressobj()
        body = inflater.decompress(data[len(_MAGIC) :], SIZE_LIMIT)
        at = 0
        for codes in ("IIH", "QIH"):
            arrays = []
            for code in codes:
                numbers, at = _array(body, at, code)
                arrays.append(numbers)
            halves.append(_Half(*arrays))
        whole = inflater.eof
    except (zlib.error, ValueError):
        whole = False
    if not whole:
        raise TableError(f"ASN table {path}: damaged; make it again")
    return Table(*halves)


def _array(body: bytes, at: int, code: str) -> "tuple[array[int], int]":
    numbers = array(code)
    count = int.from_bytes(body[at : at + 8], "little")
    end = at + 8 + count * numbers.itemsize
    if end > len(body):
        raise ValueError
    numbers.frombytes(body[at + 8 : end])
    return _little(numbers), end
