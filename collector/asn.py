"""Country and ASN of an address, from a table on this machine.

An address is looked up and not kept. Each address family has three sorted arrays (start of a range,
ASN, country); of IPv6 only the upper 64 bits count. Half a million ranges take 6 MB and a lookup
takes microseconds.

Two formats are read: the text format of `probe.asn_table`, and a compressed binary one that
`qazcollector asn-table` makes.
"""

import ipaddress
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from probe.asn_table import AsnTableError, parse_line, read_lines

_MAGIC = b"qazasn1\n"
_SIZE_LIMIT = 512 * 1024 * 1024


class Origin(NamedTuple):
    """Country and ASN of an address; None: not known."""

    country: str | None = None
    asn: int | None = None


class _Range(NamedTuple):
    first: int
    last: int
    asn: int
    country: str


@dataclass(frozen=True, slots=True)
class _Half:
    """One address family: sorted starts of ranges, and the owner from each start on."""

    starts: "array[int]"
    asns: "array[int]"
    countries: "array[int]" = field(default_factory=lambda: array("H"))

    def lookup(self, number: int) -> Origin:
        index = bisect_right(self.starts, number) - 1
        if index < 0:
            return Origin()
        code = self.countries[index]
        country = chr(code >> 8) + chr(code & 255) if code else None
        return Origin(country, self.asns[index] or None)


@dataclass(frozen=True, slots=True)
class Table:
    """Owners of address ranges."""

    four: _Half
    six: _Half

    @classmethod
    def empty(cls) -> "Table":
        """A table without ranges."""
        return cls(_build(()), _build((), wide=True))

    def lookup(self, address: str | None) -> Origin:
        """Country and ASN of an address; unknown if it is no address."""
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
        """The table in the binary format."""
        body = b"".join(
            len(numbers).to_bytes(8, "little") + _little(numbers).tobytes()
            for half in (self.four, self.six)
            for numbers in (half.starts, half.asns, half.countries)
        )
        return _MAGIC + zlib.compress(body, 9)


def load(path: Path) -> Table:
    """Read a table from a file in either format.

    Raises:
        AsnTableError: The file cannot be read, or a line is no range.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) == _MAGIC:
                return _undump(file.read(), path)
    except OSError as error:
        raise AsnTableError(f"{path}: cannot be read ({type(error).__name__})") from error
    return parse(read_lines(path), str(path))


def parse(lines: Iterable[str], source: str) -> Table:
    """Read a table from lines of text; `source` is named in the error message."""
    ranges: dict[int, list[_Range]] = {4: [], 6: []}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            version, first, last, asn, country, _ = parse_line(line)
        except ValueError as error:
            expected = "first,last,asn,country or network/prefix,asn,country expected"
            raise AsnTableError(f"{source}:{number}: {expected}") from error
        shift = 64 if version == 6 else 0
        ranges[version].append(_Range(first >> shift, last >> shift, asn, country))
    return Table(_build(ranges[4]), _build(ranges[6], wide=True))


def _build(ranges: Iterable[_Range], *, wide: bool = False) -> _Half:
    """Sort ranges; the gaps between them get ASN 0. Of overlapping ranges the first counts."""
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


def _undump(compressed: bytes, path: Path) -> Table:
    halves: list[_Half] = []
    try:
        inflater = zlib.decompressobj()
        body = inflater.decompress(compressed, _SIZE_LIMIT)
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
        raise AsnTableError(f"ASN table {path}: damaged; make it again")
    return Table(*halves)


def _array(body: bytes, at: int, code: str) -> "tuple[array[int], int]":
    numbers = array(code)
    count = int.from_bytes(body[at : at + 8], "little")
    end = at + 8 + count * numbers.itemsize
    if end > len(body):
        raise ValueError
    numbers.frombytes(body[at + 8 : end])
    return _little(numbers), end
