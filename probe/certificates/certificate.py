"""Parse one X.509 certificate leniently.

Rule: nothing here judges. `read` raises `DerError` when the bytes are not an X.509 certificate; an
extension that cannot be parsed counts as absent.
"""

import hashlib
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TypeVar

from msgspec import Struct

from probe.certificates import der
from probe.certificates.der import DerError, Item

SIZE_LIMIT = 128 * 1024
NAMES_LIMIT = 10_000
_USUAL_NAME = 512  # bytes

T = TypeVar("T")

_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
    "1.2.840.113549.1.9.1": "emailAddress",
}
SCTS = "1.3.6.1.4.1.11129.2.4.2"
_SUBJECT_KEY_ID, _KEY_USAGE, _ALT_NAMES = "2.5.29.14", "2.5.29.15", "2.5.29.17"
_BASIC, _NAME_CONSTRAINTS, _AUTHORITY_KEY_ID = "2.5.29.19", "2.5.29.30", "2.5.29.35"
# Extensions that every leaf needs for a browser to match a name at all.
INDISPENSABLE = frozenset({_ALT_NAMES, _BASIC})
_EXTENDED_USAGE, _AUTHORITY_ACCESS = "2.5.29.37", "1.3.6.1.5.5.7.1.1"
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"
# Server authentication, any use, and the two historic names of the first.
_SERVER_USES = frozenset(
    {"1.3.6.1.5.5.7.3.1", "2.5.29.37.0", "2.16.840.1.113730.4.1", "1.3.6.1.4.1.311.10.3.3"}
)
_KEY_CERT_SIGN = 0x04
_NO_NAMES: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
_NO_AUTHORITY: tuple[bool, int | None] = (False, None)


@dataclass(frozen=True)
class Name:
    """A distinguished name. Two are equal when their text is, even if string types differ."""

    der: bytes = field(compare=False)
    parts: tuple[tuple[tuple[str, str], ...], ...] = field(compare=False)
    folded: tuple[tuple[tuple[str, str], ...], ...]

    def values(self, kind: str) -> tuple[str, ...]:
        """Values of one attribute, such as `CN`."""
        return tuple(value for rdn in self.parts for name, value in rdn if name == kind)

    @cached_property
    def rfc4514(self) -> str:
        """The name as text, most specific part first."""
        rdns = ("+".join(f"{k}={_escaped(v)}" for k, v in rdn) for rdn in reversed(self.parts))
        return ",".join(rdns)


class Constraints(Struct, frozen=True):
    """Which names an authority may sign for (RFC 5280 section 4.2.1.10), DNS names only."""

    permitted: tuple[str, ...]
    excluded: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Certificate:
    """One certificate's facts.

    Attributes:
        tbs, algorithm, signature: What was signed, how (a whole AlgorithmIdentifier), the result.
        serial: Hex of the serial as it is written, sign byte left off.
        spki: The public key, a whole SubjectPublicKeyInfo.
        extensions: Contents by object identifier.
    """

    der: bytes
    tbs: bytes
    algorithm: bytes
    signature: bytes
    version: int
    serial: str
    issuer: Name
    subject: Name
    not_before: datetime
    not_after: datetime
    spki: bytes
    extensions: Mapping[str, bytes]

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def sha1(self) -> str:
        """The fingerprint that older reports use; it identifies and does not prove."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest()

    @cached_property
    def spki_sha256(self) -> str:
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def identity(self) -> tuple[Name, str]:
        """Name and key: two certificates with the same pair belong to one authority."""
        return self.subject, self.spki_sha256

    @cached_property
    def alt_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """DNS names in lower case, and IP addresses."""
        return _tolerant(_alt_names, self.extensions.get(_ALT_NAMES), _NO_NAMES)

    @cached_property
    def basic(self) -> tuple[bool, int | None]:
        """Whether it is an authority's, and how many more authorities may follow below it."""
        return _tolerant(_basic, self.extensions.get(_BASIC), _NO_AUTHORITY)

    @cached_property
    def may_sign_certificates(self) -> bool:
        """Key usage allows it, or is absent."""
        usage = _tolerant(_key_usage, self.extensions.get(_KEY_USAGE), None)
        return usage is None or bool(usage & _KEY_CERT_SIGN)

    @cached_property
    def may_serve(self) -> bool:
        """Extended key usage allows TLS servers, or is absent."""
        uses = _tolerant(_usages, self.extensions.get(_EXTENDED_USAGE), None)
        return uses is None or bool(uses & _SERVER_USES)

    @cached_property
    def constraints(self) -> Constraints | None:
        return _tolerant(_constraints, self.extensions.get(_NAME_CONSTRAINTS), None)

    @cached_property
    def key_id(self) -> str:
        """Its subject key identifier in hex, or an empty string."""
        return _tolerant(_key_id, self.extensions.get(_SUBJECT_KEY_ID), "")

    @cached_property
    def issuer_key_id(self) -> str:
        """Its authority key identifier in hex, or an empty string."""
        return _tolerant(_issuer_key_id, self.extensions.get(_AUTHORITY_KEY_ID), "")

    @cached_property
    def names_issuer_address(self) -> bool:
        """It contains an address from which its issuer's certificate can be fetched."""
        return bool(_tolerant(_ca_issuers, self.extensions.get(_AUTHORITY_ACCESS), 0))

    @property
    def logged(self) -> bool:
        """It contains SCTs of public logs. They are not verified: that needs the issuer."""
        return SCTS in self.extensions


def read(data: bytes) -> Certificate:
    """Parse one certificate; raise `DerError` when it is not one."""
    if len(data) > SIZE_LIMIT:
        raise DerError(f"certificate of {len(data)} bytes")
    outer = list(der.children(der.expect(der.read(data), der.SEQUENCE)))
    if len(outer) != 3:
        raise DerError("a certificate has three parts")
    tbs, algorithm, signature = outer
    fields = list(der.children(der.expect(tbs, der.SEQUENCE)))
    version = 1
    if fields and fields[0].tag == 0xA0:
        version = 1 + der.integer(der.read(data, fields[0].start, fields[0].end))
        fields = fields[1:]
    if len(fields) < 6:
        raise DerError("parts are missing")
    serial, _, issuer, validity, subject, spki = fields[:6]
    not_before, not_after = _pair([der.instant(item) for item in der.children(validity)])
    der.expect(spki, der.SEQUENCE)
    return Certificate(
        der=data,
        tbs=tbs.whole,
        algorithm=algorithm.whole,
        signature=der.bits(signature),
        version=version,
        serial=der.expect(serial, der.INTEGER).contents.hex().removeprefix("00") or "00",
        issuer=_name(issuer),
        subject=_name(subject),
        not_before=not_before,
        not_after=not_after,
        spki=spki.whole,
        extensions=_extensions(fields[6:]),
    )


def _pair(values: list[T]) -> tuple[T, T]:
    if len(values) != 2:
        raise DerError("two values expected")
    return values[0], values[1]


def _name(item: Item) -> Name:
    """A name; those of the few authorities that sign for many sites are parsed once."""
    whole = item.whole
    return _parsed_name(whole) if len(whole) <= _USUAL_NAME else _parse_name(whole)


def _parse_name(whole: bytes) -> Name:
    item = der.read(whole)
    parts = tuple(
        tuple(_attribute(attribute) for attribute in der.children(der.expect(rdn, der.SET)))
        for rdn in der.children(der.expect(item, der.SEQUENCE))
    )
    folded = tuple(tuple((k, " ".join(v.casefold().split())) for k, v in rdn) for rdn in parts)
    return Name(item.whole, parts, folded)


_parsed_name = lru_cache(maxsize=128)(_parse_name)


def _attribute(item: Item) -> tuple[str, str]:
    kind, value = _pair(list(der.children(der.expect(item, der.SEQUENCE))))
    dotted = der.oid(kind)
    return _SHORT.get(dotted, dotted), der.text(value)


def _escaped(value: str) -> str:
    """RFC 4514 section 2.4; control characters in hex as well."""
    text = "".join(
        f"\\{c}" if c in ',+"\\<>;' else c if c.isprintable() else _hex_escaped(c) for c in value
    )
    if text.startswith(("#", " ")) and not value.startswith("#"):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text.endswith(" ") and not text.endswith("\\ ") else text


def _hex_escaped(character: str) -> str:
    return "".join(f"\\{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _extensions(fields: list[Item]) -> dict[str, bytes]:
    """Extensions by identifier, up to the first that cannot be parsed."""
    found: dict[str, bytes] = {}
    wrapped = next((item for item in fields if item.tag == 0xA3), None)
    if wrapped is None:
        return found
    try:
        for extension in der.children(der.read(wrapped.data, wrapped.start, wrapped.end)):
            parts = list(der.children(extension))
            if len(parts) >= 2 and parts[-1].tag == der.OCTET_STRING:
                found.setdefault(der.oid(parts[0]), parts[-1].contents)
    except DerError:
        pass
    return found


def _tolerant(reader: Callable[[bytes], T], data: bytes | None, absent: T) -> T:
    if data is None:
        return absent
    try:
        return reader(data)
    except (DerError, ValueError, IndexError):
        return absent


def _alt_names(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names: list[str] = []
    addresses: list[str] = []
    for item in der.children(der.read(data)):
        if len(names) + len(addresses) >= NAMES_LIMIT:
            break
        if item.tag == 0x82:
            names.append(item.contents[:256].decode("ascii", errors="replace").lower())
        elif item.tag == 0x87 and len(item.contents) in {4, 16}:
            addresses.append(str(ipaddress.ip_address(item.contents)))
    return tuple(names), tuple(addresses)


def _basic(data: bytes) -> tuple[bool, int | None]:
    authority, depth = False, None
    for item in der.children(der.read(data)):
        if item.tag == der.BOOLEAN:
            authority = any(item.contents)
        elif item.tag == der.INTEGER:
            depth = min(der.integer(item), 255)
    return authority, depth


def _key_usage(data: bytes) -> int | None:
    return next(iter(der.bits(der.read(data))), 0)


def _usages(data: bytes) -> frozenset[str] | None:
    return frozenset(der.oid(item) for item in der.children(der.read(data)))


def _key_id(data: bytes) -> str:
    return der.expect(der.read(data), der.OCTET_STRING).contents[:64].hex()


def _issuer_key_id(data: bytes) -> str:
    parts = der.children(der.read(data))
    return next((item.contents[:64].hex() for item in parts if item.tag == 0x80), "")


def _ca_issuers(data: bytes) -> int:
    entries = (list(der.children(entry)) for entry in der.children(der.read(data)))
    return sum(der.oid(entry[0]) == _CA_ISSUERS for entry in entries if entry)


def _constraints(data: bytes) -> Constraints | None:
    trees: dict[int, list[str]] = {0xA0: [], 0xA1: []}
    for part in der.children(der.read(data)):
        for subtree in der.children(part):
            base = next(der.children(subtree), None)
            if base is not None and base.tag == 0x82 and part.tag in trees:
                trees[part.tag].append(base.contents[:256].decode("ascii", "replace").lower())
    return Constraints(tuple(trees[0xA0]), tuple(trees[0xA1]))
