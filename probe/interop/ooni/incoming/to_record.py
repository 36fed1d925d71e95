"""A measurement of OONI's as a record of ours: what it observed, without what OONI concluded.

Rule: what OONI did not record stays missing, so that no rule can rest on it. There is one look at
each thing, no harmless name, and no other site; the only witness is the test helper. Pure: the
measurement is untrusted data, and whatever it has becomes a record within all bounds, or an
`OoniError` with one reason.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from probe import codec
from probe.certificates.roots import Roots
from probe.clip import UnfitError, within_bounds
from probe.compare import host_of
from probe.interop.ooni.incoming import connections, control, endpoints, own, pages, queries, values
from probe.interop.ooni.incoming.connections import Handshakes
from probe.interop.ooni.incoming.step_list import StepList
from probe.model import Control, Line, Record, Vantage

ORIGIN = "ooni"
LICENCE = "OONI's data is published under CC BY-NC-SA 4.0; so is what contains it."
# OONI's experiments that have a counterpart of the same meaning.
EXPERIMENTS = {
    "web_connectivity": "web",
    "whatsapp": "whatsapp",
    "signal": "signal",
    "facebook_messenger": "messenger",
    "telegram": "telegram",
    "tor": "tor",
}
# Seconds for a connection, a handshake or a request: of web_connectivity 0.5, and of other tests.
_LIMIT, _OLDER_LIMIT = 10.0, 15.0
_TIME = re.compile(r"(20[0-9]{2}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_COUNTRY = re.compile(r"[A-Z]{2}")
_UNKNOWN_COUNTRY = "ZZ"
_TEST = re.compile(r"[a-z0-9_]{1,64}")


class OoniError(ValueError):
    """A measurement that makes no record; the message says what is wrong with it."""


class LeftOutError(OoniError):
    """A measurement of an experiment that we have no counterpart for."""


def experiment_name(measurement: Any) -> str:
    """The name of its experiment; `unnamed` where it has none that is valid."""
    found = values.text(measurement, "test_name").lower()
    return found if _TEST.fullmatch(found) else "unnamed"


def to_record(measurement: Any, *, uid: str = "", roots: Roots) -> Record:
    """The record, not judged.

    Args:
        measurement: The decoded JSON.
        uid: Its measurement uid, where it does not have it itself.
        roots: That its chains are judged by, at the time of the measurement.

    Raises:
        LeftOutError: Its experiment has no counterpart.
        OoniError: It has no input, no time, or no `test_keys`.
    """
    test = experiment_name(measurement)
    if test not in EXPERIMENTS:
        raise LeftOutError(f"experiment {test} has no counterpart")
    test_keys = values.member(measurement, "test_keys")
    if not isinstance(test_keys, dict) or not test_keys:
        raise OoniError("test_keys is missing or empty")
    ours = own.record_in(measurement, EXPERIMENTS[test], roots)
    return ours or _converted(measurement, test_keys, uid, roots)


def _converted(measurement: Any, test_keys: Any, uid: str, roots: Roots) -> Record:
    test = experiment_name(measurement)
    input_ = _input(measurement, EXPERIMENTS[test])
    at = _time(measurement)
    name = values.text(measurement, "measurement_uid") or uid or _digest(measurement)
    about = Handshakes(
        now=at,
        roots=roots,
        hops=pages.hops_of(input_, test_keys),
        limit=_LIMIT
        if values.text(measurement, "test_version").startswith("0.5")
        else _OLDER_LIMIT,
        traffic=connections.traffic(test_keys),
    )
    steps = _steps(EXPERIMENTS[test], measurement, test_keys, about)
    seen = None
    if test == "web_connectivity":
        seen = control.control(test_keys, input_, _id("control", name))
    record = Record(
        id=str(_id("measurement", name)),
        run=str(_id("report", values.text(measurement, "report_id") or name)),
        experiment=EXPERIMENTS[test],
        input=input_,
        started_at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        elapsed=values.number(measurement, "test_runtime") or 0.0,
        vantage=_vantage(measurement),
        steps=steps.finished(),
        certs=about.certs,
        resolver_asn=values.system(measurement, "resolver_asn"),
        control=() if seen is None else (seen,),
        line=_line(measurement, seen),
        origin=ORIGIN,
    )
    return _bounded(record)


def _bounded(record: Record) -> Record:
    """The record within all bounds; nearly every one is, and that is decided quickly."""
    try:
        codec.check(codec.encode(record))
    except (codec.CodecError, UnicodeError, OverflowError):
        try:
            return within_bounds(record)
        except UnfitError as error:
            raise OoniError(f"no record can hold it: {str(error)[:80]}") from error
    return record


def _steps(experiment: str, measurement: Any, test_keys: Any, about: Handshakes) -> StepList:
    steps = StepList()
    if experiment == "tor":
        endpoints.add_tor(steps, test_keys, about)
        return steps
    queries.add(steps, test_keys, dict(about.hops), public=_asks_the_public(measurement))
    connections.add(steps, test_keys, about)
    pages.add(steps, test_keys, about.limit)
    if experiment != "web":
        endpoints.sum_up(steps, experiment)
    return steps


def _asks_the_public(measurement: Any) -> bool | None:
    """Whether the machine's resolver serves the public, by its network."""
    resolver = values.system(measurement, "resolver_asn")
    return None if resolver is None else resolver in queries.PUBLIC_RESOLVERS


def _input(measurement: Any, experiment: str) -> str:
    if experiment != "web":
        return f"service:{experiment}"
    found = values.text(measurement, "input")
    if not found.startswith(("http://", "https://")) or not host_of(found):
        raise OoniError("input is no http(s) URL")
    return found


def _time(measurement: Any) -> datetime:
    for name in ("measurement_start_time", "test_start_time"):
        found = _TIME.match(values.text(measurement, name))
        if found is None:
            continue
        try:
            return datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(tzinfo=UTC)
        except ValueError:
            continue
    raise OoniError("measurement_start_time is no time such as 2026-11-21 10:05:00")


def _vantage(measurement: Any) -> Vantage:
    country = values.text(measurement, "probe_cc").upper()
    known = _COUNTRY.fullmatch(country) and country != _UNKNOWN_COUNTRY
    software = (
        values.text(measurement, "software_name"),
        values.text(measurement, "software_version"),
    )
    mobile = values.text(measurement, "annotations", "network_type") == "mobile"
    return Vantage(
        country=country if known else None,
        asn=values.system(measurement, "probe_asn"),
        network=values.text(measurement, "probe_network_name") or None,
        kind="mobile" if mobile else None,
        platform=values.text(measurement, "annotations", "platform"),
        version="/".join(filter(None, software)),
    )


def _line(measurement: Any, seen: Control | None) -> Line:
    """The test helper was reached over this connection, where it answered."""
    if seen is None:
        return Line()
    return Line(alive_before=True, trusted_names=int(control.by_trusted_tls(measurement)))


def _id(what: str, name: str) -> UUID:
    """The same id for the same measurement, however it came: a UUID of version 8 (RFC 9562)."""
    number = int.from_bytes(hashlib.sha256(f"ooni {what} {name}".encode()).digest()[:16])
    number = number & ~(0xF << 76) | 0x8 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def _digest(measurement: Any) -> str:
    """What identifies a measurement without a uid: all that it says."""
    try:
        said = msgspec.json.encode(measurement, order="sorted")
    except (UnicodeError, OverflowError, RecursionError, TypeError) as error:
        raise OoniError("has a text or a number that no JSON can have") from error
    return hashlib.sha256(said).hexdigest()
