"""A record as one measurement in OONI's base format (df-000, version 0.2.0).

A record that has no counterpart there is left out, and one that OONI refuses is refused here, each
with its reason. The whole record travels along under `x_qazprobe`, and `kept.py` gives it back.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from probe import codec
from probe.i18n import N_
from probe.interop.ooni import words
from probe.interop.ooni.kept import KEPT
from probe.interop.ooni.out.service_keys import facebook_keys, signal_keys, whatsapp_keys
from probe.interop.ooni.out.tor_keys import tor_keys
from probe.interop.ooni.out.web_keys import web_keys
from probe.model import Record

SOFTWARE = "qazprobe"
FORMAT = "0.2.0"
UID = "measurement_uid"

_COUNTRY = re.compile(r"[A-Z]{2}")
_SERVICE = "service:"
_EXTENSIONS = MappingProxyType(
    {"dnst": 0, "httpt": 0, "netevents": 0, "tcpconnect": 0, "tlshandshake": 0}
)


class OoniTest(msgspec.Struct, frozen=True):
    """An experiment of OONI's, the version whose keys these are, and how they are made."""

    name: str
    version: str
    keys: Callable[[Record], dict[str, Any]]


TESTS: Mapping[str, OoniTest] = MappingProxyType(
    {
        "web": OoniTest("web_connectivity", "0.5.28", web_keys),
        "whatsapp": OoniTest("whatsapp", "0.12.0", whatsapp_keys),
        "signal": OoniTest("signal", "0.2.5", signal_keys),
        "messenger": OoniTest("facebook_messenger", "0.2.1", facebook_keys),
        "tor": OoniTest("tor", "0.4.0", tor_keys),
    }
)


NO_TEST = N_("{experiment}: OONI has no experiment of this meaning")
OF_A_CONTROL = N_("made by a control machine, on an uncensored network")
NO_COUNTRY = N_("ZZ: its country is not known")
NO_NETWORK = N_("AS0: its network is not known")
NO_TIME = N_("its time is no time")


class OoniRefusal(ValueError):  # noqa: N818 - it refuses, it does not fail
    """A record that is no measurement of OONI's.

    Attributes:
        reason: One of a few sentences, to be counted and translated.
        experiment: What goes into its gap.
    """

    def __init__(self, reason: str, experiment: str = "") -> None:
        super().__init__(reason.format(experiment=experiment))
        self.reason = reason
        self.experiment = experiment


def measurement(record: Record, line: bytes | None = None) -> dict[str, Any]:
    """The measurement of a record, without an id of its own.

    `line` is the record as it was written, if it is at hand: then every byte of it comes back.

    Raises:
        OoniRefusal: It is none.
    """
    test, started = _accepted(record)
    where = record.vantage
    time = started.strftime("%Y-%m-%d %H:%M:%S")
    software, version = _software(record)
    kept = {KEPT: msgspec.Raw(line or codec.encode(record))}
    return {
        "annotations": _annotations(record),
        "data_format_version": FORMAT,
        "extensions": dict(_EXTENSIONS),
        "input": None if record.input.startswith(_SERVICE) else record.input,
        "measurement_start_time": time,
        "probe_asn": f"AS{where.asn}",
        "probe_cc": _country(record),
        "probe_ip": "127.0.0.1",
        "probe_network_name": where.network or "",
        "report_id": "",
        "resolver_asn": f"AS{record.resolver_asn or 0}",
        "resolver_ip": words.SCRUBBED,
        "resolver_network_name": "",
        "software_name": software,
        "software_version": version,
        "test_keys": {**test.keys(record), **kept},
        "test_name": test.name,
        "test_runtime": record.elapsed,
        "test_start_time": time,
        "test_version": test.version,
    }


def identified(found: dict[str, Any]) -> dict[str, Any]:
    """The measurement with the id that OONI's collectors make: of its time, place and bytes."""
    digest = hashlib.sha512(msgspec.json.encode(found)).hexdigest()[:16]
    moment = found["measurement_start_time"].translate(str.maketrans("", "", "-: "))
    name = found["test_name"].replace("_", "")
    return {UID: f"{moment}.000000_{found['probe_cc']}_{name}_{digest}", **found}


def _accepted(record: Record) -> tuple[OoniTest, datetime]:
    """The test and the time in UTC, where OONI would take the record."""
    test = TESTS.get(record.experiment)
    if test is None:
        raise OoniRefusal(NO_TEST, record.experiment)
    where = record.vantage
    if where.role == "control":
        raise OoniRefusal(OF_A_CONTROL)
    if not _COUNTRY.fullmatch(_country(record)) or _country(record) == "ZZ":
        raise OoniRefusal(NO_COUNTRY)
    if not where.asn:
        raise OoniRefusal(NO_NETWORK)
    try:
        return test, datetime.fromisoformat(record.started_at).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise OoniRefusal(NO_TIME) from error


def _country(record: Record) -> str:
    return (record.vantage.country or "").upper()


def _software(record: Record) -> tuple[str, str]:
    """Who measured: we, or the client whose measurement was imported as `NAME/VERSION`."""
    version = record.vantage.version or "unknown"
    if record.origin is None:
        return SOFTWARE, version
    name, _, of_it = version.partition("/")
    return name or "unknown", of_it or "unknown"


def _annotations(record: Record) -> dict[str, str]:
    where = record.vantage
    found = {
        "network_type": where.kind or "unknown",
        "platform": (where.platform or "unknown").lower(),
        "qazprobe_id": record.id,
        "qazprobe_run": record.run,
    }
    if record.lab:
        found["qazprobe_lab"] = "true"
    if record.origin is not None:
        found["qazprobe_origin"] = record.origin
    return found
