"""Remove all addresses except the measured ones from a record, before it is written to disk.

This is an allow-list: a record may contain only addresses that were returned for a target or
connected to. Every other token that can be an address is replaced, in every field, notation and
encoding (see `ip_patterns`). A field is exempt only by name and shape, so a new field is scrubbed
by default.

Hashes in a record (`sha256`, `fuzzy`) are of the data received, not of the scrubbed data.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Collection
from enum import Enum
from functools import cache
from hashlib import sha256
from operator import is_
from types import UnionType
from typing import Annotated, TypeVar, Union, get_args, get_origin
from unicodedata import category

import msgspec

from probe.certificates import certificate
from probe.certificates.der import DerError
from probe.compare import host_of
from probe.ip_patterns import NAME_MARK, TEXT_MARK, Allowed, clean, parsed
from probe.model import Control, Dns, Http, Ping, Quic, Record, Steps, Tls, Trust
from probe.reference_data import public_resolvers

S = TypeVar("S", bound=msgspec.Struct)

# Headers that identify the responding software. Those that repeat the client's address, set cookies
# or carry session ids are not in the list.
HEADERS = frozenset(
    {
        "server", "content-type", "content-length", "content-language", "content-encoding",
        "transfer-encoding", "location", "date", "last-modified", "expires", "cache-control", "age",
        "vary", "via", "retry-after", "www-authenticate", "connection", "alt-svc", "x-powered-by",
        "x-cache", "x-squid-error", "x-frame-options", "x-blocked-by", "cf-mitigated", "cf-ray",
        "cf-cache-status", "x-served-by", "x-amz-cf-pop", "x-amzn-waf-action", "x-sucuri-block",
        "x-amz-cf-id", "x-sucuri-id", "x-iinfo", "x-akamai-request-id",
        "strict-transport-security", "refresh", "proxy-authenticate", "proxy-connection",
    }
)  # fmt: skip
HEADER_LIMIT = 1024
# Leaf certificates per control measurement.
CONTROL_CERTS = 16

_HASH = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_KEY = re.compile(r"(?:(?:name:)?[0-9a-f]{64}|aki:[0-9a-f]{40,64})")
_FUZZY = re.compile(r"[0-9a-f]{16}")
_SERIAL = re.compile(r"[0-9a-f]{2,64}")
_SERVER_HELLO = re.compile(r"\d{1,5},\d{1,5},(?:\d{1,5}(?:-\d{1,5})*)?")
_HEXADECIMAL = re.compile(r"[0-9a-f]+")
_MIN_HEX = 2 * len("1.1.1.1")  # digits of the shortest address in hexadecimal
_SHAPES = {
    "id": _UUID,
    "run": _UUID,
    "started_at": _TIME,
    "not_before": _TIME,
    "not_after": _TIME,
    "sha256": _HASH,
    "chain": _HASH,
    "fuzzy": _FUZZY,
    "issuer_key": _KEY,
    "leaf_key": _KEY,
    "resigned_by": _KEY,
    "portal_sign": _HASH,
    "serial": _SERIAL,
    "server_hello": _SERVER_HELLO,
}
_NO_TEXT = frozenset({type(None), bool, int, float})
_ADDRESSES = frozenset(
    {"address", "answers", "resolver", "nxdomain_addresses", "hijacked_resolvers", "resolvers_dead"}
)
_NAMES = frozenset({"input", "name", "host", "sni", "cnames", "links", "url", "location"})
_BLANKS = str.maketrans("\t\r\n\u00a0", "    ")
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\r\n")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{3,20})", re.IGNORECASE)
_SINGLE_BYTE = frozenset({"windows-1251", "cp1251", "koi8-r", "koi8-u", "iso-8859-5", "ibm866"})


def scrub(record: Record, *, allowed: Collection[str]) -> Record:
    """The record without addresses that are not in `allowed`.

    Addresses of control measurements are kept: they do not depend on the user's network. So is a
    public address that is itself the target: the user named it. In a lab the resolver's address is
    kept.
    """
    in_controls = (allowed_addresses(control.steps) for control in record.control)
    public = {resolver.address for resolver in public_resolvers()}
    if record.lab:
        public.update(step.resolver for step in record.steps if isinstance(step, Dns))
    own = [host for host in (host_of(record.input),) if record.lab or _public(host)]
    keep = Allowed(public.union(allowed, own, *in_controls), [record.input])
    certs = _certificates(record, keep)
    controls = tuple(_keep_leaves(control, keep) for control in record.control)
    if all(new is old for new, old in zip(controls, record.control, strict=True)):
        controls = record.control
    return _struct(msgspec.structs.replace(record, certs=certs, control=controls), keep)


def allowed_addresses(steps: Steps) -> frozenset[str]:
    """The addresses that were returned for a target or connected to."""
    found: set[str] = set()
    for step in steps:
        if isinstance(step, Dns):
            found.update(answer for reply in step.replies for answer in reply.answers)
            if _public(step.resolver):
                found.add(step.resolver)
        elif isinstance(step, Ping):
            found.update(filter(_public, (step.address or "",)))
        else:
            found.add(step.address)
    return frozenset(found)


def _public(address: str) -> bool:
    """Whether an address is public or loopback; a private one may belong to the user's network."""
    value = parsed(address)
    return value is not None and (value.is_global or value.is_loopback)


def _struct(value: S, keep: Allowed) -> S:
    """The struct with every string in it scrubbed; the same object if nothing changed."""
    changed: dict[str, object] = {}
    for name in _with_text(type(value)):
        old = getattr(value, name)
        if not old:
            continue
        new = _headers(old, keep) if name == "headers" else _field(name, old, keep)
        if new is not old:
            changed[name] = new
    if isinstance(value, Http) and value.body is not None:
        changed["body"] = _body(value, keep)
    return msgspec.structs.replace(value, **changed) if changed else value


@cache
def _with_text(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of a struct that may hold text: all but numbers."""
    return tuple(one.name for one in msgspec.structs.fields(kind) if not _is_number(one.type))


def _is_number(kind: object) -> bool:
    if get_origin(kind) is Annotated:
        return _is_number(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return all(map(_is_number, get_args(kind)))
    return kind in _NO_TEXT


def _field(name: str, value: object, keep: Allowed) -> object:
    if type(value) is str or (isinstance(value, str) and not isinstance(value, Enum)):
        return value if name == "body" else _text(name, value, keep)
    if isinstance(value, tuple):
        new = tuple([_field(name, item, keep) for item in value])
        return value if all(map(is_, new, value)) else new
    if isinstance(value, dict) and name != "certs":
        scrubbed = {clean(key, keep): _field(name, item, keep) for key, item in value.items()}
        return value if scrubbed == value else scrubbed
    return _struct(value, keep) if isinstance(value, msgspec.Struct) else value


def _text(name: str, value: str, keep: Allowed) -> str:
    shape = _SHAPES.get(name)
    if shape is not None and shape.fullmatch(value) and not _is_text_in_hex(value):
        return value
    if name in _ADDRESSES and parsed(value) is not None:
        return value if keep.text(value) else NAME_MARK
    new = clean(value, keep, NAME_MARK if name in _NAMES else TEXT_MARK)
    return value if new == value else new


def _is_text_in_hex(value: str) -> bool:
    """Whether a hash decodes to text, invisible characters included; a real digest hardly does."""
    digits = value.rpartition(":")[2]
    if len(digits) < _MIN_HEX or len(digits) % 2 or not _HEXADECIMAL.fullmatch(digits):
        return False
    try:
        text = bytes.fromhex(digits).decode()
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or category(c) == "Cf" for c in text)


def _headers(headers: dict[str, str], keep: Allowed) -> dict[str, str]:
    """The headers of the allow-list, their values scrubbed."""
    new = {
        name.lower(): clean(
            value[:HEADER_LIMIT], keep, NAME_MARK if name.lower() == "location" else TEXT_MARK
        )
        for name, value in headers.items()
        if name.lower() in HEADERS
    }
    return headers if new == headers else new


def _body(step: Http, keep: Allowed) -> str:
    """The first bytes of a page as scrubbed text; binary data is replaced."""
    try:
        data = b64decode(step.body or "", validate=True)
    except (binascii.Error, ValueError):
        return ""
    charset = _charset(data, step.headers.get("content-type", ""))
    if charset is None:
        return b64encode(TEXT_MARK.encode()).decode()
    text = data.decode(charset, "replace")
    if not text.translate(_BLANKS).isprintable():
        text = "".join(c if c.isprintable() or c in "\t\r\n\u00a0" else "?" for c in text)
    return b64encode(clean(text, keep).encode(charset, "replace")).decode()


def _charset(data: bytes, content_type: str) -> str | None:
    """The character set of a body, or None if it is not text."""
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if b"\0" in data or controls * 20 > len(data) + 100:
        return None
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    if bad <= 8 or bad * 4 <= sum(not c.isascii() for c in text) - bad:
        return "utf-8"
    declared = _CHARSET.search(content_type.encode() + b" " + data[:1024])
    name = declared[1].decode().lower() if declared else "windows-1251"
    return name if name in _SINGLE_BYTE else "ascii"


def _certificates(record: Record, keep: Allowed) -> dict[str, str]:
    """The certificates of a record, without those that contain an address that is not allowed.

    A changed certificate would be invalid, so it is kept or dropped whole. Those of public
    authorities are public, and those of a known interceptor copy public ones.
    """
    steps = [*record.steps, *(step for control in record.control for step in control.steps)]
    handshakes = [step for step in steps if isinstance(step, (Tls, Quic))]
    public = {name for step in handshakes if _is_public(step.trust) for name in step.chain}
    kept = {
        name: value
        for name, value in record.certs.items()
        if _HASH.fullmatch(name) and (name in public or not _has_address(value, keep))
    }
    return record.certs if len(kept) == len(record.certs) else kept


def _keep_leaves(control: Control, keep: Allowed) -> Control:
    """The control without certificates other than the leaves that its steps name."""
    if not control.certs:
        return control
    handshakes = [s for s in control.steps if isinstance(s, (Tls, Quic)) and s.chain]
    leaves = {step.chain[0]: _is_public(step.trust) for step in handshakes}
    certs = {
        name: value
        for name, value in list(control.certs.items())[:CONTROL_CERTS]
        if name in leaves
        and _has_hash(name, value)
        and (leaves[name] or not _has_address(value, keep))
    }
    same = len(certs) == len(control.certs)
    return control if same else msgspec.structs.replace(control, certs=certs)


def _has_hash(name: str, value: str) -> bool:
    """Whether a certificate has this SHA-256."""
    try:
        return sha256(b64decode(value, validate=True)).hexdigest() == name
    except ValueError:
        return False


def _is_public(trust: Trust | None) -> bool:
    if trust is None:
        return False
    known = trust.authority
    proved = known is not None and known.kind == "interception" and known.proof == "verified"
    return trust.anchored or proved


def _has_address(value: str, keep: Allowed) -> bool:
    """Whether a certificate contains an address that is not allowed, or cannot be parsed."""
    try:
        found = certificate.read(b64decode(value, validate=True))
    except (DerError, ValueError):
        return True
    names, addresses = found.alt_names
    if any(not keep.text(address) for address in addresses):
        return True
    texts = [found.subject.rfc4514, found.issuer.rfc4514, *names]
    return any(clean(text, keep) != text for text in texts)
