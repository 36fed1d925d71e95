"""Compare a forged certificate with the true one it was copied from.

The interceptor of 2019 (Censored Planet, "Kazakhstan's HTTPS Interception") could be recognised
without a list of keys: it copied the server's own certificate and changed little. Rule: each mark
alone has innocent explanations; `resembles_2019` requires all of them.
"""

from datetime import datetime, timedelta
from enum import StrEnum, unique

from msgspec import Struct

from probe.certificates import certificate
from probe.certificates.certificate import INDISPENSABLE, Certificate
from probe.certificates.der import DerError
from probe.certificates.signature import rsa_key
from probe.model import Trust

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
SERIAL_TAIL = 4


@unique
class Mark(StrEnum):
    """One trace of copying."""

    DATES = "dates_shifted_by_whole_hours"
    SERIAL = "serial_equal_but_for_its_tail"
    EXTENSIONS = "extensions_dropped"
    UNLOGGED = "no_timestamps_of_public_logs"


class LeafFacts(Struct, frozen=True):
    """The compared properties of one leaf.

    Attributes:
        serial: Its bytes. logged: it contains SCTs (RFC 6962).
        extensions: How many it has besides those that a browser needs to match the name.
        names: Its DNS names, sorted; empty where only the record's summary is known.
        key_bits, exponent: Of an RSA key; None for other keys.
    """

    serial: bytes
    not_before: datetime
    not_after: datetime
    extensions: int
    logged: bool
    leaf_key: str
    names: tuple[str, ...] = ()
    key_bits: int | None = None
    exponent: int | None = None


def leaf_facts(der: bytes) -> LeafFacts | None:
    """The facts of a leaf, or None when it is not a certificate."""
    try:
        leaf = certificate.read(der)
        bits, exponent = _rsa(leaf)
    except DerError:
        return None
    return LeafFacts(
        serial=bytes.fromhex(leaf.serial),
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        names=tuple(sorted(set(leaf.alt_names[0]))),
        extensions=len(leaf.extensions.keys() - INDISPENSABLE),
        logged=leaf.logged,
        leaf_key=leaf.spki_sha256,
        key_bits=bits,
        exponent=exponent,
    )


def trust_facts(trust: Trust) -> LeafFacts | None:
    """The facts of a leaf from a step's summary, where the certificate itself is missing."""
    try:
        serial = bytes.fromhex(trust.serial)
        dates = [datetime.fromisoformat(text or "") for text in (trust.not_before, trust.not_after)]
    except ValueError:
        return None
    if trust.logged is None or trust.extensions is None or not trust.leaf_key or not serial:
        return None
    if any(date.tzinfo is None for date in dates):
        return None
    return LeafFacts(
        serial=serial,
        not_before=dates[0],
        not_after=dates[1],
        extensions=trust.extensions,
        logged=trust.logged,
        leaf_key=trust.leaf_key,
    )


def resembles_2019(forged: LeafFacts, true: LeafFacts) -> bool:
    """Whether one leaf is a copy of the other as the system of 2019 made it: it has every mark."""
    return len(marks(forged, true)) == len(Mark)


def marks(forged: LeafFacts, true: LeafFacts) -> tuple[Mark, ...]:
    """The traces of copying, in the order of `Mark`; none when both have one key."""
    if forged.leaf_key == true.leaf_key:
        return ()
    found = {
        Mark.DATES: shifted_by(forged, true) is not None,
        Mark.SERIAL: _same_head(forged.serial, true.serial),
        Mark.EXTENSIONS: forged.extensions == 0 and true.extensions > 0,
        Mark.UNLOGGED: true.logged and not forged.logged,
    }
    return tuple(mark for mark, present in found.items() if present)


def shifted_by(forged: LeafFacts, true: LeafFacts) -> timedelta | None:
    """The shift of both dates, if it is the same whole number of hours within a day; else None."""
    shift = forged.not_before - true.not_before
    same = shift == forged.not_after - true.not_after
    whole = shift % _HOUR == timedelta()
    return shift if same and whole and timedelta() < abs(shift) <= _DAY else None


def _same_head(forged: bytes, true: bytes) -> bool:
    """Equal except the last bytes; short serials prove nothing."""
    long_enough = len(true) >= 2 * SERIAL_TAIL and len(forged) == len(true)
    return long_enough and forged != true and forged[:-SERIAL_TAIL] == true[:-SERIAL_TAIL]


def _rsa(leaf: Certificate) -> tuple[int | None, int | None]:
    key = rsa_key(leaf.spki)
    return (key[0].bit_length(), key[1]) if key else (None, None)
