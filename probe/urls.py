"""Validate and normalise URLs.

`parse_url` returns the same text for equivalent URLs, is idempotent, and raises `TargetError` for
anything but a plain http or https URL. What browsers repair silently (`http:/x`, backslashes, octal
addresses) is rejected, so that the measured URL is unambiguous.
"""

import hashlib
import ipaddress
import re
import unicodedata
from urllib.parse import quote

from probe.i18n import _
from probe.ordering import host_of
from probe.public_address import is_global

URL_LIMIT = 2048
HOST_LIMIT = 253
SLUG_LIMIT = 100

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# "meduza.io", "meduza.io/ru", "пример.рф:8443": a host with a dot, and no scheme.
_BARE = re.compile(r"[^\s/:@?#.]+(?:\.[^\s/:@?#.]+)+\.?(?::\d+)?(?:[/?#].*)?", re.DOTALL)
# Names of home and company networks: RFC 6762 (appendix G), RFC 8375, RFC 6761, ICANN's `internal`.
# `onion` (RFC 7686) has no server that could be dialled: a query for it would only tell others.
_PRIVATE_SUFFIXES = frozenset(
    {"corp", "home", "internal", "intranet", "lan", "local", "localdomain", "localhost", "onion"}
    | {"private", "home.arpa"}
)
_DEFAULT_PORT = {"http": 80, "https": 443}
# RFC 3986 `pchar` and "/" and "?", with "%" because valid escapes are kept as they are.
_KEPT = "/?:@!$&'()*+,;=%~-._"


class TargetError(ValueError):
    """An invalid target; the message is one line that says what was expected."""


def parse_url(text: str) -> str:
    """Normalise a web address: ASCII host in lower case, explicit path, no fragment.

    Raises:
        TargetError: Not an http(s) URL, or one with credentials, control characters and the like.
    """
    text = text.strip(" \t\r\n\ufeff")
    _refuse_unprintable(text)
    found = _URL.fullmatch(text)
    if found is None:
        raise TargetError(
            _("{text} is not a URL: http:// or https:// and a host expected").format(
                text=_shown(text)
            )
        )
    scheme = found["scheme"].lower()
    if scheme not in _DEFAULT_PORT:
        raise TargetError(
            _("scheme {scheme} cannot be measured: http or https expected").format(
                scheme=_shown(scheme)
            )
        )
    rest = found["rest"].split("#", 1)[0]
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    path = quote(_LONE_PERCENT.sub("%25", rest[cut:]), safe=_KEPT)
    path = path if path.startswith("/") else f"/{path}"
    url = f"{scheme}://{_authority(rest[:cut], _DEFAULT_PORT[scheme])}{path}"
    if len(url) > URL_LIMIT:
        raise TargetError(
            _("URL of {size} characters: at most {limit} expected").format(
                size=len(url), limit=URL_LIMIT
            )
        )
    return url


def parse_target(text: str, *, lab: bool = False) -> str:
    """Normalise a target: a web address, or a host with a dot, which means https.

    Raises:
        TargetError: Not a web address, or outside a laboratory (`lab`) one of a private network.
    """
    bare = text.strip(" \t\r\n\ufeff")
    url = parse_url(f"https://{bare}" if _BARE.fullmatch(bare) else text)
    if not lab and (private := _private(host_of(url))):
        raise TargetError(private)
    return url


def _private(host: str) -> str | None:
    """Why a host is no public one; None if it is."""
    if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
        if is_global(host):
            return None
        return _("{host} is not a public address: a public one expected").format(host=_shown(host))
    if "." not in host:
        return _("host {host} has no dot: a public name expected").format(host=_shown(host))
    labels = host.split(".")
    if labels[-1] in _PRIVATE_SUFFIXES or ".".join(labels[-2:]) in _PRIVATE_SUFFIXES:
        message = _("host {host} is a name of private networks: a public name expected")
        return message.format(host=_shown(host))
    return None


def slug(url: str) -> str:
    """The label of a target in metrics: host, and the path unless it is the root."""
    name = url.partition("://")[2] or url
    if name.endswith("/") and name.count("/") == 1:
        name = name[:-1]
    if len(name) <= SLUG_LIMIT:
        return name
    return f"{name[: SLUG_LIMIT - 9]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def ascii_host(host: str) -> str:
    """The host as used in DNS and TLS: an IP address in its usual notation, or an A-label name.

    Raises:
        TargetError: Neither a name nor an address.
    """
    if host.startswith("["):
        return f"[{_ipv6(host[1:-1])}]"
    name = (host if host.isascii() else _idna(host)).lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name)
    if not name or len(name) > HOST_LIMIT or not all(map(_LABEL.fullmatch, labels)):
        raise TargetError(
            _("host {host} is not a name: letters, digits, hyphens, dots expected").format(
                host=_shown(host)
            )
        )
    return name


def _authority(text: str, default_port: int) -> str:
    if "@" in text:
        raise TargetError(_("URL with a user name or password: none expected"))
    found = _AUTHORITY.fullmatch(text)
    if found is None or not found["host"]:
        raise TargetError(
            _("URL without a host: {text} found where a host is expected").format(text=_shown(text))
        )
    host = ascii_host(found["host"])
    port = _port(found["port"]) if found["port"] else default_port
    return host if port == default_port else f"{host}:{port}"


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 8 and 1 <= int(text) <= 65535:
        return int(text)
    raise TargetError(_("port {text}: a number from 1 to 65535 expected").format(text=_shown(text)))


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise TargetError(
            _("{text} is not an IPv4 address: 192.0.2.1 expected").format(text=_shown(text))
        ) from None


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise TargetError(
            _("[{text}] is not an IPv6 address: [2001:db8::1] expected").format(text=_shown(text))
        ) from None
    if address.scope_id:
        raise TargetError(_("IPv6 address with a zone: none expected"))
    return str(address)


def _idna(host: str) -> str:
    """IDNA 2008 with the UTS 46 mapping, as in browsers."""
    import idna

    try:
        return idna.encode(host[: HOST_LIMIT + 1], uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        raise TargetError(
            _("host {host} is not an internationalised domain name").format(host=_shown(host))
        ) from None


def _refuse_unprintable(text: str) -> None:
    if not text:
        raise TargetError(_("a URL is expected, found an empty text"))
    if len(text) > 4 * URL_LIMIT:
        raise TargetError(
            _("URL of {size} characters: at most {limit} expected").format(
                size=len(text), limit=URL_LIMIT
            )
        )
    if text.isascii() and text.isprintable():
        return
    kinds = {unicodedata.category(character) for character in text if not character.isalnum()}
    if "Cs" in kinds:
        raise TargetError(_("not UTF-8 text"))
    if "Cc" in kinds or "Zl" in kinds or "Zp" in kinds:
        raise TargetError(
            _("{text} has control characters: none expected").format(text=_shown(text))
        )


def _shown(text: str) -> str:
    """User input, made printable and short for an error message."""
    short = text if len(text) <= 60 else f"{text[:57]}..."
    return ascii(short) if not short.isprintable() else f"“{short}”"
