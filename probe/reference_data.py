"""What is known beforehand: sites that must work, resolvers, networks, block pages, authorities.

Rule: facts only, each read from `targets/` when it is first asked for. What follows from them is
decided elsewhere.
"""

import csv
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from probe import data_files

Kind = Literal["interception", "national", "service"]
How = Literal["tls", "own_tls", "tcp", "mtproto"]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Somebody to ask for names.

    Attributes:
        label: What the record says: `system`, or the public address.
        address, port: Where to ask. name: the name that a DoT or DoH server must prove.
    """

    label: str
    address: str
    port: int = 53
    transport: Literal["udp", "tcp", "dot", "doh"] = "udp"
    name: str | None = None
    path: str = "/dns-query"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A site that must work.

    Attributes:
        foreign: Outside the country. essential: a white list would let it through.
    """

    url: str
    foreign: bool
    essential: bool


@dataclass(frozen=True, slots=True)
class BlockPage:
    """What a block page says.

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
        """Whether `text` (a title, a body, …) says it, whatever the case and the line breaks."""
        return _folded(self.pattern) in _folded(text)


@dataclass(frozen=True, slots=True)
class Network:
    """One autonomous system.

    Attributes:
        hosting: A data centre or a VPN's exit: not what a household sees.
    """

    asn: int
    name: str
    hosting: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Authorities under one name, of which some keys are known and others may follow."""

    id: str
    kind: Kind
    common_names: tuple[str, ...]
    seen: str = ""


@dataclass(frozen=True, slots=True)
class KnownAuthority:
    """One certificate of an authority that is known by more than its name.

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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service's app connects, by names or by published addresses.

    Attributes:
        part: What of the service it is for; within a part one place that answers is enough.
        how: What can be seen there: `tls` a handshake that proves the name, `own_tls` one by a key
            that no browser vouches for, `tcp` a connection, `mtproto` Telegram's first exchange.
    """

    service: str
    part: str
    how: How
    ports: tuple[int, ...]
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Caution:
    """What a volunteer is told once before some experiments, or some lists, are used."""

    experiments: tuple[str, ...]
    lists: tuple[str, ...]
    text: str


@cache
def anchors() -> tuple[Anchor, ...]:
    """Sites that must work, domestic and foreign."""
    return tuple(Anchor(**entry) for entry in data_files.toml("anchors.toml")["anchor"])


@cache
def harmless_names() -> tuple[str, ...]:
    """Names that nobody minds, best first."""
    return tuple(data_files.toml("references.toml")["harmless"])


@cache
def quic_references() -> tuple[str, ...]:
    """Names that nobody minds and that answer over QUIC wherever UDP port 443 is open."""
    return tuple(data_files.toml("references.toml")["quic"])


@cache
def harmless_pairs() -> Mapping[str, str]:
    """For some targets' host names, a harmless name that is served from the same addresses."""
    pairs = data_files.toml("references.toml")["pair"]
    return MappingProxyType({pair["target"]: pair["harmless"] for pair in pairs})


@cache
def public_resolvers() -> tuple[Resolver, ...]:
    """Public resolvers over UDP and over HTTPS."""
    return tuple(_resolver(**entry) for entry in data_files.toml("resolvers.toml")["resolver"])


@cache
def nobodys_addresses() -> tuple[str, ...]:
    """Global addresses where no resolver lives."""
    return tuple(data_files.toml("resolvers.toml")["nobody"]["addresses"])


@cache
def whoami_names() -> tuple[str, ...]:
    """Names that are answered with the address of the resolver that asked."""
    return tuple(data_files.toml("resolvers.toml")["whoami"]["names"])


@cache
def network_list() -> tuple[Network, ...]:
    """The networks of the country that are known by name."""
    rows = csv.DictReader(data_files.text("networks_kz.csv").splitlines())
    return tuple(
        Network(int(row["asn"]), row["name"], row["hosting"] == "yes", row["note"]) for row in rows
    )


@cache
def networks() -> dict[int, str]:
    """Names of networks by AS number."""
    return {network.asn: network.name for network in network_list()}


@cache
def blockpages() -> tuple[BlockPage, ...]:
    """What block pages say."""
    return tuple(BlockPage(**entry) for entry in data_files.toml("blockpages.toml")["blockpage"])


@cache
def families() -> tuple[Family, ...]:
    """Families of authorities, by the names they go by."""
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
def endpoints(service: str) -> tuple[Endpoint, ...]:
    """Where one service's app connects."""
    entries = (_tuples(one) for one in data_files.toml("services.toml")["endpoint"])
    return tuple(Endpoint(**one) for one in entries if one["service"] == service)


@cache
def services() -> tuple[str, ...]:
    """The services that have an experiment of their own, by name."""
    return tuple(data_files.toml("services.toml")["services"])


@cache
def cautions() -> tuple[Caution, ...]:
    """What is said before the experiments and lists that need a thought."""
    return tuple(Caution(**_tuples(one)) for one in data_files.toml("services.toml")["caution"])


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def _resolver(address: str, transport: Literal["udp", "doh"], name: str | None = None) -> Resolver:
    port = 443 if transport == "doh" else 53
    return Resolver(label=address, address=address, port=port, transport=transport, name=name)


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", text).casefold()
