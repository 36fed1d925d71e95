"""Names as OONI makes them: of measurements and of reports. Pure.

A report's name says what it is of and carries a proof that this collector gave it, so no report is
remembered.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import NamedTuple

_REPORT = re.compile(
    r"(?P<at>[0-9]{8}T[0-9]{6}Z)_(?P<test>[a-z0-9]{2,30})_(?P<country>[A-Z0-9]{2})_"
    r"(?P<asn>[1-9][0-9]{0,9})_n1_(?P<proof>[0-9a-zA-Z]{16})"
)


class ReportOf(NamedTuple):
    """What the measurements of a report have in common."""

    test_name: str
    country: str
    asn: str


def flat(test_name: str) -> str:
    """A test's name as it stands in other names: without underscores."""
    return test_name.replace("_", "")


def measurement_uid(country: str, test_name: str, content: bytes, now: float) -> str:
    """The name of a measurement: when it came, from where, of what, and a part of its hash."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d%H%M%S.%f")
    digest = hashlib.sha512(content).hexdigest()[:16]
    return f"{at}_{country}_{flat(test_name)}_{digest}"


def content_name(content: bytes) -> str:
    """What a measurement is known by here: the same when its client sends it again."""
    return hashlib.sha512(content).hexdigest()


def report_id(of: ReportOf, now: float, secret: bytes) -> str:
    """The name of a new report."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    stem = f"{at}_{flat(of.test_name)}_{of.country}_{of.asn.removeprefix('AS')}_n1"
    return f"{stem}_{_proof(stem, secret)}"


def is_report_of(name: str, of: ReportOf, secret: bytes) -> bool:
    """Whether this collector gave the name to a report of that test on that network."""
    found = _REPORT.fullmatch(name)
    if found is None:
        return False
    stem, _, proof = name.rpartition("_")
    said = (found["test"], found["country"], f"AS{found['asn']}")
    same = said == (flat(of.test_name), of.country, of.asn)
    return same and hmac.compare_digest(proof, _proof(stem, secret))


def is_report(name: str, secret: bytes) -> bool:
    """Whether this collector gave the name to any report."""
    if _REPORT.fullmatch(name) is None:
        return False
    stem, _, proof = name.rpartition("_")
    return hmac.compare_digest(proof, _proof(stem, secret))


def key_of(country: str, asn: int) -> str:
    """The key id that stands for all of OONI's clients on one network."""
    return hashlib.sha256(f"ooni:{country}:{asn}".encode()).hexdigest()[:32]


def _proof(stem: str, secret: bytes) -> str:
    return hmac.new(secret, stem.encode(), hashlib.sha256).hexdigest()[:16]
