"""Reference data: anchor sites, resolvers, networks, block pages, authorities, service endpoints.

Rule: facts only. Each file of `targets/` is read when it is first needed.
"""

import csv
import re
from base64 import b64decode
from collections.abc import Mapping
from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

from probe import data_files

Kind = Literal["interception", "national", "service"]
How = Literal["tls", "own_tls", "tcp", "mtproto"]


class Resolver(Struct, frozen=True):
    """A DNS resolver.

    Attributes:
        label: Its name in the record: `system`, or the public address.
        address, port: Where it listens. name: the name that a DoT or DoH server must prove.
    """

    label: str
    address: str
    port: int = 53
    transport: Literal["udp", "tcp", "dot", "doh"] = "udp"
    name: str | None = None
    path: str = "/dns-query"


class Anchor(Struct, frozen=True):
    """A site that works unless the connection or the network fails.

    Attributes:
        foreign: Outside the country; None: not known. essential: a white list would let it through.
    """

    url: str
    foreign: bool | None
    essential: bool


class BlockPage(Struct, frozen=True):
    """A text that identifies a block page.

    Attributes:
        where: `title`, `body`, `location` or `header`. pattern: plain text to be found there.
        scope: `national`, `operator`, `product` or `generic`.
    """

    id: str
    where: Literal["title", "body", "location", "header"]
    pattern: str
    scope: Literal["national", "operator", "product", "generic"]
    source: str

    def found_in(self, text: str) -> bool:
        """Whether `text` (a title, a body, …) contains the pattern, ignoring case and spacing."""
        return _folded(self.pattern) in _folded(text)


class KnownNetwork(Struct, frozen=True):
    """One autonomous system.

    Attributes:
        hosting: A data centre or a VPN exit, which is not what a household sees.
    """

    asn: int
    name: str
    hosting: bool
    note: str = ""


class Family(Struct, frozen=True):
    """Certificate authorities of one owner. Some of their keys are known; others may appear."""

    id: str
    kind: Kind
    common_names: tuple[str, ...]
    seen: str = ""


class KnownAuthority(Struct, frozen=True):
    """One known certificate of an authority.

    Attributes:
        sha256, sha1, spki_sha256, key_id, serial: Lower-case hex; empty where not known.
        spki: The public key itself (DER SubjectPublicKeyInfo); empty where not known.
        root: For an intermediate, the id of its root where that is known.
    """

    id: str
    family: str
    kind: Kind
    subject: str = ""
    common_name: str = ""
    sha256: str = ""
    sha1: str = ""
    spki_sha256: str = ""
    spki: bytes = b""
    key_id: str = ""
    serial: str = ""
    key: str = ""
    not_before: str = ""
    not_after: str = ""
    root: str = ""
    source: str = ""
    seen: str = ""


class EndpointGroup(Struct, frozen=True):
    """The servers to which a service's app connects for one part of the service.

    Attributes:
        part: The part of the service; it works when one of its endpoints answers.
        how: What can be tested: `tls` a handshake that proves the name, `own_tls` one by a key that
            browsers do not trust, `tcp` a connection, `mtproto` Telegram's first exchange.
    """

    service: str
    part: str
    how: How
    ports: tuple[int, ...]
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    source: str = ""


class Order(Struct, frozen=True):
    """An order of an authority to block names, as it was published.

    Attributes:
        date: A day, or an RFC 3339 instant where that is known. names: host names.
    """

    country: str
    authority: str
    number: str
    date: str
    names: tuple[str, ...]


class RiskNotice(Struct, frozen=True):
    """Experiments and lists with a risk that the volunteer accepts before the first use.

    Attributes:
        kind: The name of the risk's text.
    """

    experiments: tuple[str, ...]
    lists: tuple[str, ...]
    kind: str


@cache
def anchors() -> tuple[Anchor, ...]:
    """The anchor sites, domestic and foreign."""
    return tuple(Anchor(**entry) for entry in data_files.toml("anchors.toml")["anchor"])


@cache
def harmless_names() -> tuple[str, ...]:
    """Harmless names, which no censor is known to block, best first."""
    return tuple(data_files.toml("references.toml")["harmless"])


@cache
def quic_references() -> tuple[str, ...]:
    """Harmless names that answer over QUIC wherever UDP port 443 is open."""
    return tuple(data_files.toml("references.toml")["quic"])


@cache
def harmless_pairs() -> Mapping[str, str]:
    """For some target host names, a harmless name served from the same addresses."""
    pairs = data_files.toml("references.toml")["pair"]
    return MappingProxyType({pair["target"]: pair["harmless"] for pair in pairs})


@cache
def public_resolvers() -> tuple[Resolver, ...]:
    """Public resolvers over UDP and over HTTPS."""
    return tuple(
        Resolver(
            label=entry["address"],
            address=entry["address"],
            port=443 if entry["transport"] == "doh" else 53,
            transport=entry["transport"],
            name=entry.get("name"),
        )
        for entry in data_files.toml("resolvers.toml")["resolver"]
    )


@cache
def unused_addresses() -> tuple[str, ...]:
    """Global addresses where no resolver exists: an answer from there is injected."""
    return tuple(data_files.toml("resolvers.toml")["nobody"]["addresses"])


@cache
def whoami_names() -> tuple[str, ...]:
    """Names that are answered with the address of the resolver that asked."""
    return tuple(data_files.toml("resolvers.toml")["whoami"]["names"])


@cache
def advertising_names() -> tuple[str, ...]:
    """Names of advertising: every list that a filter at home comes with has them."""
    return tuple(data_files.toml("resolvers.toml")["advertising"]["names"])


@cache
def _public_resolvers() -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, data_files.toml("resolvers.toml")["public"]["networks"]))


@lru_cache(maxsize=64)
def is_public_resolver(address: str) -> bool:
    """Whether a resolver at this address serves the public, as one that a user chose does."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(parsed in network for network in _public_resolvers())


@cache
def known_networks() -> tuple[KnownNetwork, ...]:
    """The networks of the country that are known by name."""
    rows = csv.DictReader(data_files.text("networks_kz.csv").splitlines())
    return tuple(
        KnownNetwork(int(row["asn"]), row["name"], row["hosting"] == "yes", row["note"])
        for row in rows
    )


@cache
def networks() -> dict[int, str]:
    """Names of networks by AS number."""
    return {network.asn: network.name for network in known_networks()}


@cache
def blockpages() -> tuple[BlockPage, ...]:
    """Texts that identify block pages."""
    return tuple(BlockPage(**entry) for entry in data_files.toml("blockpages.toml")["blockpage"])


@cache
def families() -> tuple[Family, ...]:
    """Families of authorities, with their common names."""
    return tuple(
        Family(entry["id"], entry["kind"], tuple(entry["common_names"]), entry.get("seen", ""))
        for name in data_files.names("authorities", ".toml")
        for entry in data_files.toml(f"authorities/{name}.toml").get("family", ())
    )


@cache
def authorities() -> tuple[KnownAuthority, ...]:
    """Known authorities: roots first, then their intermediates."""
    kinds: dict[str, Kind] = {family.id: family.kind for family in families()}
    tables = [
        data_files.toml(f"authorities/{n}.toml") for n in data_files.names("authorities", ".toml")
    ]
    entries = [
        entry for part in ("root", "intermediate") for t in tables for entry in t.get(part, ())
    ]
    return tuple(
        KnownAuthority(
            **{**entry, "spki": b64decode(entry.get("spki", ""))},
            kind=kinds[entry["family"]],
        )
        for entry in entries
    )


@cache
def endpoints(service: str) -> tuple[EndpointGroup, ...]:
    """The servers to which one service's app connects."""
    entries = (_tuples(one) for one in data_files.toml("services.toml")["endpoint"])
    return tuple(EndpointGroup(**one) for one in entries if one["service"] == service)


@cache
def services() -> tuple[str, ...]:
    """The services that have an experiment of their own, by name."""
    return tuple(data_files.toml("services.toml")["services"])


@cache
def orders() -> tuple[Order, ...]:
    """The published orders that are known, of every country that has a file of them."""
    found = []
    for file in data_files.names("", ".csv"):
        country = file.removeprefix("orders_").upper()
        if file.startswith("orders_"):
            rows = csv.DictReader(data_files.text(f"{file}.csv").splitlines())
            found += [_order(country, row) for row in rows]
    return tuple(found)


def _order(country: str, row: Mapping[str, str]) -> Order:
    names = tuple(row["names"].lower().split())
    return Order(country, row["authority"], row["number"], row["date"], names)


@cache
def risk_notices() -> tuple[RiskNotice, ...]:
    """The notices for experiments and lists that may put a volunteer at risk."""
    return tuple(RiskNotice(**_tuples(one)) for one in data_files.toml("services.toml")["caution"])


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", text).casefold()
