"""What an operator chose for one collector: frozen values, checked where they come in.

Rule: an option that cannot be used is refused at once, in one line that says what was expected.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from probe.api_types import BulkReply

Enrolment = Literal["open", "token", "closed"]
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(ValueError):
    """An option that cannot be used; one line: what, and what was expected."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read HOST:PORT; an IPv6 host stands in brackets, port 0 takes any free one."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"“{text}”: HOST:PORT expected, such as 127.0.0.1:8080 or [::1]:8080")
    return Address(host, int(port))


def parse_proxies(texts: Sequence[str]) -> tuple[IPNetwork, ...]:
    """Read the networks whose X-Forwarded-For is believed."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise SettingsError(f"proxy: {error}; an address or network expected") from error


def parse_bulk(text: str) -> BulkReply:
    """Read ADDRESS:PORT#KEY of somebody else's bulk server; the key is its SHA-256 in hex."""
    place, _, key = text.partition("#")
    expected = f"“{text}”: ADDRESS:PORT#SHA256 expected, as that collector's /v1/service says it"
    try:
        address = parse_address(place)
        host = str(ipaddress.ip_address(address.host))
    except (SettingsError, ValueError) as error:
        raise SettingsError(expected) from error
    if not address.port or re.fullmatch("[0-9a-f]{64}", key.lower()) is None:
        raise SettingsError(expected)
    return BulkReply(address=host, port=address.port, spki_sha256=key.lower())


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one collector takes.

    Attributes:
        connections: Open connections; more are closed at once.
        body_bytes: One request's body. held_bytes: all bodies in memory together.
        key_burst, key_rate: Requests by one key: at once, and per second in the long run.
        network_burst, network_rate: The same for one /24 (IPv4) or /48 (IPv6).
        enrol_burst, enrol_rate: New keys from one network.
        recheck_burst, recheck_rate: Rechecks asked by one key.
        body_seconds: How long a body may take to arrive.
    """

    connections: int = 1000
    body_bytes: int = 16 * 1024 * 1024
    held_bytes: int = 256 * 1024 * 1024
    key_burst: float = 120.0
    key_rate: float = 2.0
    network_burst: float = 600.0
    network_rate: float = 20.0
    enrol_burst: float = 30.0
    enrol_rate: float = 0.1
    recheck_burst: float = 300.0
    recheck_rate: float = 0.1
    body_seconds: float = 60.0


# Everybody in a laboratory has the same few addresses, and tests do not wait.
LAB_LIMITS = Limits(
    key_burst=1e9,
    key_rate=1e9,
    network_burst=1e9,
    network_rate=1e9,
    enrol_burst=1e9,
    enrol_rate=1e9,
    recheck_burst=1e9,
    recheck_rate=1e9,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """One collector.

    Attributes:
        metrics: Where `/metrics` is, when not on `listen`.
        bulk: Where the throughput server listens, if anywhere.
        bulk_also: Other collectors' throughput servers, in other networks, announced beside it.
        targets: Names or files of the lists whose targets are shown by name.
        max_series: How many series the large metric families may have together.
        window: For how long, in seconds, the newest verdict of a probe counts.
        quorum: How many probes must agree before something is called an event.
        proxies: Networks whose X-Forwarded-For is believed.
    """

    listen: Address
    store: str
    enrolment: Enrolment
    metrics: Address | None = None
    bulk: Address | None = None
    bulk_also: tuple[BulkReply, ...] = ()
    lab: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    targets: tuple[str, ...] = ()
    max_series: int = 50_000
    asn_table: Path | None = None
    window: float = 24 * 3600.0
    quorum: int = 3
    proxies: tuple[IPNetwork, ...] = ()
    limits: Limits = field(default_factory=Limits)
