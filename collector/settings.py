"""The settings of one collector: frozen values, checked when they are parsed.

Rule: an invalid option is refused at start, in one line that says what was expected.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from probe.api_types import BulkReply

EnrolmentMode = Literal["open", "token", "closed"]
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(ValueError):
    """An invalid option; the message is one line: the value, and what was expected."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in {"127.0.0.1", "::1", "localhost"}


def parse_address(text: str) -> Address:
    """Parse HOST:PORT; an IPv6 host is in brackets, and port 0 takes any free one."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"“{text}”: HOST:PORT expected, such as 127.0.0.1:8080 or [::1]:8080")
    return Address(host, int(port))


@dataclass(frozen=True, slots=True)
class SocketFile:
    """A Unix socket to listen on."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


def parse_admin(text: str) -> Address | SocketFile | None:
    """Parse HOST:PORT, `unix:FILE`, or `none`."""
    if text == "none":
        return None
    kind, _, path = text.partition(":")
    if kind == "unix":
        if not path:
            raise SettingsError(f"“{text}”: unix:FILE expected")
        return SocketFile(path)
    return parse_address(text)


def parse_proxies(texts: Sequence[str]) -> tuple[IPNetwork, ...]:
    """Parse the networks whose X-Forwarded-For is trusted."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise SettingsError(f"proxy: {error}; an address or network expected") from error


def parse_bulk(text: str) -> BulkReply:
    """Parse ADDRESS:PORT#KEY of another throughput server; KEY is its SHA-256 in hex."""
    listen, _, key = text.partition("#")
    expected = f"“{text}”: ADDRESS:PORT#SHA256 expected, as that collector's /v1/service says it"
    try:
        address = parse_address(listen)
        host = str(ipaddress.ip_address(address.host))
    except (SettingsError, ValueError) as error:
        raise SettingsError(expected) from error
    if not address.port or re.fullmatch("[0-9a-f]{64}", key.lower()) is None:
        raise SettingsError(expected)
    return BulkReply(address=host, port=address.port, spki_sha256=key.lower())


@dataclass(frozen=True, slots=True)
class OoniSettings:
    """What is offered to OONI's clients; nothing of it unless the operator says so.

    Attributes:
        clients: Take their measurements, and give them targets.
        helper: Answer as their test helper.
        url: The address of this collector that clients are told; empty: the one they asked.
        also: Other helpers that clients are told, behind our own.
        originals: Keep what clients sent beside the record that was made of it.
        daily_bytes: What all their measurements of a day may take in the store.
    """

    clients: bool = False
    helper: bool = False
    url: str = ""
    also: tuple[str, ...] = ()
    originals: bool = False
    daily_bytes: int = 200_000_000


def parse_helper(text: str) -> str:
    """Check the URL of a test helper, or of this collector as clients reach it."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable() or len(text) > 1000:
        raise SettingsError(f"“{text[:200]}”: a URL expected, such as https://helper.example/")
    return text


@dataclass(frozen=True, slots=True)
class CollectorLimits:
    """The limits of one collector.

    Attributes:
        reads, exports: Readers that are served at a time; some more wait.
        connections: Open connections; for further ones idle ones are closed.
        network_connections: The same for one network. handshakes: those in which TLS begins.
        connect_burst, connect_rate: New connections of one network.
        body_bytes: One request's body.
        held_bytes: What all requests hold in memory together. network_bytes: those of one network.
        key_burst, key_rate: Requests by one key: at once, and per second in the long run.
        network_burst, network_rate: The same for one /24 (IPv4) or /48 (IPv6).
        enrol_burst, enrol_rate: New keys from one network.
        beat_burst, beat_rate: Heartbeats of one key, each of which may report two weeks.
        recheck_burst, recheck_rate: Rechecks requested by one key.
        ooni_burst, ooni_rate: Measurements of OONI's clients from one network; a large one counts
            as several.
        helper_burst, helper_rate: Questions of them to the test helper, likewise.
        helper_recheck_burst, helper_recheck_rate: Those of them for which a control must measure.
        body_seconds: Time for a body to arrive.
        backlog_records: When so many records wait to be judged, no more are taken.
    """

    reads: int = 2
    exports: int = 2
    connections: int = 1000
    network_connections: int = 100
    handshakes: int = 250
    connect_burst: float = 400.0
    connect_rate: float = 20.0
    body_bytes: int = 16 * 1024 * 1024
    held_bytes: int = 256 * 1024 * 1024
    network_bytes: int = 64 * 1024 * 1024
    key_burst: float = 120.0
    key_rate: float = 2.0
    network_burst: float = 600.0
    network_rate: float = 20.0
    enrol_burst: float = 30.0
    enrol_rate: float = 0.1
    beat_burst: float = 60.0
    beat_rate: float = 1 / 60
    recheck_burst: float = 300.0
    recheck_rate: float = 0.1
    ooni_burst: float = 600.0
    ooni_rate: float = 1.0
    helper_burst: float = 120.0
    helper_rate: float = 1.0
    helper_recheck_burst: float = 30.0
    helper_recheck_rate: float = 0.05
    body_seconds: float = 60.0
    backlog_records: int = 500_000


# The probes of a laboratory share few addresses, and tests do not wait.
LAB_LIMITS = CollectorLimits(
    connect_burst=1e9,
    connect_rate=1e9,
    key_burst=1e9,
    key_rate=1e9,
    network_burst=1e9,
    network_rate=1e9,
    enrol_burst=1e9,
    enrol_rate=1e9,
    beat_burst=1e9,
    beat_rate=1e9,
    recheck_burst=1e9,
    recheck_rate=1e9,
    ooni_burst=1e9,
    ooni_rate=1e9,
    helper_burst=1e9,
    helper_rate=1e9,
    helper_recheck_burst=1e9,
    helper_recheck_rate=1e9,
)


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """The settings of one collector.

    Attributes:
        metrics: Address of `/metrics`, when not on `listen`.
        admin: Address of the operator's listener. admin_free: If it is taken, any free port does.
        bulk: Address of the throughput server, if there is one.
        bulk_rate, bulk_daily: Bytes a second and a day that one client of it may move; None: any.
        bulk_also: Other collectors' throughput servers, in other networks, announced beside it.
        targets: Names or files of the lists whose targets are shown by name.
        max_series: Limit on the series of the large metric families together.
        window: Seconds for which the newest verdict of a probe counts.
        quorum: Number of probes that must agree for an event.
        public_min_probes: On networks with fewer probes the public sees times to the hour.
        operator_token_file: Holds the token with which everything is shown.
        proxies: Networks whose X-Forwarded-For is trusted.
        workers: Number of processes that judge; 0: this one does.
        verify_chains: Compute again what served chains prove; off only where certificates are made
            up, as in tests of counting.
        ooni: What is offered to OONI's clients.
    """

    listen: Address
    store: str
    enrolment: EnrolmentMode
    metrics: Address | None = None
    admin: Address | SocketFile | None = None
    admin_free: bool = False
    bulk: Address | None = None
    bulk_rate: float | None = None
    bulk_daily: int | None = None
    bulk_also: tuple[BulkReply, ...] = ()
    lab: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    targets: tuple[str, ...] = ()
    max_series: int = 50_000
    asn_table: Path | None = None
    window: float = 24 * 3600.0
    quorum: int = 3
    public_min_probes: int = 3
    operator_token_file: Path | None = None
    proxies: tuple[IPNetwork, ...] = ()
    workers: int = 1
    verify_chains: bool = True
    ooni: OoniSettings = field(default_factory=OoniSettings)
    limits: CollectorLimits = field(default_factory=CollectorLimits)

    @property
    def presence_min_probes(self) -> int:
        """On networks with fewer probes the public does not learn who is heard now.

        1 where no other machine asks: then only the operator does.
        """
        return self.public_min_probes if self.is_public else 1

    @property
    def is_public(self) -> bool:
        """Whether other machines send it what they measured."""
        alone = self.listen.is_loopback and not self.proxies
        return not (self.lab or alone)
