"""What a forged certificate has of the true one it was made from.

The interceptor of 2019 (Censored Planet, "Kazakhstan's HTTPS Interception") could be known without
any list of keys: it copied the server's own certificate and changed little. Rule: these marks are
for setting beside other evidence. Each of them alone has innocent explanations; `resembles_2019`
asks for all of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

from probe import certificate
from probe.certificate import SCTS, Certificate
from probe.der import DerError
from probe.signature import rsa_key

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_ALT_NAMES, _BASIC = "2.5.29.17", "2.5.29.19"
# What a forger must keep for a browser to match the name at all.
_INDISPENSABLE = frozenset({_ALT_NAMES, _BASIC})
SERIAL_TAIL = 4


@unique
class Mark(StrEnum):
    """One trace of copying."""

    DATES = "dates_shifted_by_whole_hours"
    SERIAL = "serial_equal_but_for_its_tail"
    EXTENSIONS = "extensions_dropped"
    UNLOGGED = "no_timestamps_of_public_logs"


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """What is compared of one leaf.

    Attributes:
        serial: Its bytes. names: DNS names it is for, sorted.
        extensions: Object identifiers of what it carries. logged: it carries SCTs (RFC 6962).
        key_bits, exponent: Of an RSA key; None for other keys.
    """

    serial: bytes
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    extensions: frozenset[str]
    logged: bool
    leaf_key: str
    key_bits: int | None = None
    exponent: int | None = None


def leaf_facts(der: bytes) -> LeafFacts | None:
    """Read a leaf's facts, or None when it is no certificate."""
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
        extensions=frozenset(leaf.extensions),
        logged=SCTS in leaf.extensions,
        leaf_key=leaf.spki_sha256,
        key_bits=bits,
        exponent=exponent,
    )


def resembles_2019(forged: LeafFacts, true: LeafFacts) -> bool:
    """Whether one leaf was made from the other as the system of 2019 did: every mark is there."""
    return len(marks(forged, true)) == len(Mark)


def marks(forged: LeafFacts, true: LeafFacts) -> tuple[Mark, ...]:
    """The traces of copying, in the order of `Mark`; none when both have one key."""
    if forged.leaf_key == true.leaf_key:
        return ()
    found = {
        Mark.DATES: shifted_by(forged, true) is not None,
        Mark.SERIAL: _same_head(forged.serial, true.serial),
        Mark.EXTENSIONS: _dropped(forged, true),
        Mark.UNLOGGED: true.logged and not forged.logged,
    }
    return tuple(mark for mark, held in found.items() if held)


def shifted_by(forged: LeafFacts, true: LeafFacts) -> timedelta | None:
    """By how much both dates are off, when that is the same whole number of hours within a day."""
    shift = forged.not_before - true.not_before
    same = shift == forged.not_after - true.not_after
    whole = shift % _HOUR == timedelta()
    return shift if same and whole and timedelta() < abs(shift) <= _DAY else None


def _same_head(forged: bytes, true: bytes) -> bool:
    """Equal but for the last bytes; short serials prove nothing."""
    long_enough = len(true) >= 2 * SERIAL_TAIL and len(forged) == len(true)
    return long_enough and forged != true and forged[:-SERIAL_TAIL] == true[:-SERIAL_TAIL]


def _dropped(forged: LeafFacts, true: LeafFacts) -> bool:
    """Nothing is left but what a browser needs to match the name, where there was more."""
    return forged.extensions <= _INDISPENSABLE and bool(true.extensions - _INDISPENSABLE)


def _rsa(leaf: Certificate) -> tuple[int | None, int | None]:
    key = rsa_key(leaf.spki)
    return (key[0].bit_length(), key[1]) if key else (None, None)
