"""A minimal DER parser for untrusted certificates.

Rule: bounded and lenient. Every length is checked against the data, and what browsers accept (a
long-form length that could be short, a negative serial) is accepted, because a probe that is
stricter than browsers calls working sites broken. Everything else is a `DerError`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31
ITEM_LIMIT = 10_000

_TEXT = {
    0x0C: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as common parsers read it
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


class DerError(ValueError):
    """The bytes are not the expected DER."""


class Item(NamedTuple):
    """One tag-length-value: `head` is where its tag is, `start` to `end` its contents."""

    data: bytes
    tag: int
    head: int
    start: int
    end: int

    @property
    def contents(self) -> bytes:
        """The value alone."""
        return self.data[self.start : self.end]

    @property
    def whole(self) -> bytes:
        """Tag, length and value."""
        return self.data[self.head : self.end]


def read(data: bytes, at: int = 0, end: int | None = None) -> Item:
    """The item that begins at `at` and ends at `end` at the latest."""
    end = len(data) if end is None else end
    if at + 2 > end:
        raise DerError("cut short")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise DerError("tag of several bytes")
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > end:
            raise DerError("unsupported length")
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    if start + length > end:
        raise DerError("longer than its container")
    return Item(data, tag, at, start, start + length)


def children(item: Item) -> Iterator[Item]:
    """The items inside one, in order; at most `ITEM_LIMIT` of them."""
    at = item.start
    for _ in range(ITEM_LIMIT):
        if at >= item.end:
            return
        child = read(item.data, at, item.end)
        yield child
        at = child.end
    raise DerError("too many parts")


def expect(item: Item, tag: int) -> Item:
    """The same item; raise unless it has this tag."""
    if item.tag != tag:
        raise DerError(f"tag {item.tag:#x} instead of {tag:#x}")
    return item


def oid(item: Item) -> str:
    """An object identifier in dots."""
    return _dotted(expect(item, OID).contents[:64])


@lru_cache(maxsize=256)
def _dotted(contents: bytes) -> str:
    numbers: list[int] = []
    value = 0
    for byte in contents:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        raise DerError("empty object identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def integer(item: Item) -> int:
    """An integer, read as unsigned (negative serials exist and mean nothing)."""
    return int.from_bytes(expect(item, INTEGER).contents, "big")


def bits(item: Item) -> bytes:
    """A bit string of whole bytes."""
    return expect(item, BIT_STRING).contents[1:]


def text(item: Item) -> str:
    """A string of any string type; other types as `#` and their bytes in hex (RFC 4514)."""
    if item.tag in _TEXT:
        return item.contents.decode(_TEXT[item.tag], errors="replace")
    return f"#{item.whole[:64].hex()}"


def instant(item: Item) -> datetime:
    """UTCTime or GeneralizedTime, to the second (RFC 5280 section 4.1.2.5)."""
    digits = item.contents.decode("ascii", errors="replace")
    if item.tag == UTC_TIME:
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    elif item.tag != GENERALIZED_TIME:
        raise DerError("no time")
    stamp, zone = digits[:14], digits[14:].lstrip(".0123456789")
    if not stamp.isdigit():  # UTCTime may leave its seconds out
        stamp, zone = digits[:12] + "00", digits[12:]
    if len(stamp) != 14:
        raise DerError("no time")
    try:
        # `strptime` would import the locales, and take longer.
        month, day, hour, minute, second = (int(stamp[at : at + 2]) for at in range(4, 14, 2))
        when = datetime(int(stamp[:4]), month, day, hour, minute, second, tzinfo=UTC)
        return when - _offset(zone)
    except (ValueError, OverflowError) as error:
        raise DerError("no time") from error


def _offset(zone: str) -> timedelta:
    if zone in {"Z", ""}:
        return timedelta()
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    return -ahead if zone.startswith("-") else ahead
