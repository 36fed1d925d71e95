"""Where a browser goes for a `Location` that a server wrote (WHATWG URL Standard).

Servers write raw UTF-8 or Latin-1, spaces, backslashes and one slash too many, and browsers follow
all of it. So a redirect is read by the browsers' rules; those of `urls.py` reject what is
ambiguous. What no browser could request is None; nothing here raises.
"""

import ipaddress
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

# The statuses with which a browser follows a `Location` (RFC 9110 section 15.4).
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LIMIT = 8192
_NAME_LIMIT = 253
_LABEL_LIMIT = 63
_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_PORT = re.compile(r"(.*?)(?::([0-9]*))?", re.DOTALL)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
# What is not percent-encoded again in a path and in a query.
_IN_PATH = "!$%&'()*+,-./:;=@[\\]^_|~"
_IN_QUERY = "!$%&()*+,-./:;=?@[\\]^_`{|}~"
_FORBIDDEN = frozenset(map(chr, range(0x21))) | set("#%/:<>?@[\\]^|\x7f")
_SINGLE = re.compile(r"\.|%2e", re.IGNORECASE)
_DOUBLE = re.compile(r"(?:\.|%2e){2}", re.IGNORECASE)
# Ports of other services, to which no browser sends a request (Fetch Standard, "bad port").
_BAD_PORTS = (
    "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 "
    "109 110 111 113 115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 "
    "515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 "
    "1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 "
    "10080 "
)
_OTHER_SERVICES = frozenset(map(int, _BAD_PORTS.split()))


def is_followed(target: str | None) -> bool:
    """A browser requests this URL, instead of giving it to another program."""
    return target is not None and target.startswith(("http://", "https://"))


def redirect_target(base: str, location: bytes) -> str | None:
    """The URL that a `Location` means in a response for `base`, without its fragment.

    A URL of another scheme than http and https is returned as it came, percent-encoded.
    """
    raw = location.strip(_EDGE).translate(None, b"\t\r\n")
    text = quote_from_bytes(raw, safe=_ASCII).partition("#")[0]
    if not text or len(text) > LIMIT:
        return None
    found = _SCHEME.match(text)
    if found is not None and found[1].lower() not in _PORTS:
        return text
    own_scheme, _, rest = base.partition("://")
    scheme = found[1].lower() if found is not None else own_scheme
    after = text[found.end() :] if found is not None else text
    slashed, query_mark, query = after.partition("?")
    slashed = slashed.replace("\\", "/")
    if slashed.startswith("//") or scheme != own_scheme:
        authority, slash, path = slashed.lstrip("/").partition("/")
        path = slash + path
    else:
        authority, _, own_path = rest.partition("/")
        path, query_mark, query = _relative(own_path, slashed, query_mark, query)
    server = _server(authority, _PORTS[scheme])
    if server is None:
        return None
    encoded = quote_from_bytes(path.encode(), safe=_IN_PATH)
    more = query_mark + quote_from_bytes(query.encode(), safe=_IN_QUERY)
    url = f"{scheme}://{server}{_without_dots(encoded)}{more}"
    return url if len(url) <= LIMIT else None


def _relative(own: str, path: str, query_mark: str, query: str) -> tuple[str, str, str]:
    """The path and the query of a URL without a host, beside the page whose path is `own`."""
    own_path, own_mark, own_query = own.partition("?")
    if path.startswith("/"):
        return path, query_mark, query
    if path:
        return "/" + own_path.rpartition("/")[0] + "/" + path, query_mark, query
    if query_mark:
        return "/" + own_path, query_mark, query
    return "/" + own_path, own_mark, own_query


def _without_dots(path: str) -> str:
    """The path without `.` and `..`."""
    kept: list[str] = []
    *folders, last = path.removeprefix("/").split("/")
    for part in (*folders, last):
        if _DOUBLE.fullmatch(part):
            kept = kept[:-1]
        elif not _SINGLE.fullmatch(part):
            kept.append(part)
    if _DOUBLE.fullmatch(last) or _SINGLE.fullmatch(last):
        kept.append("")
    return "/" + "/".join(kept)


def _server(authority: str, default_port: int) -> str | None:
    """Host and port as in a `Host` header; a user name and a password are left out."""
    text = authority.rpartition("@")[2]
    found = _PORT.fullmatch(text)
    if found is None:
        return None
    host = _host(found[1])
    digits = (found[2] or "").lstrip("0") or ("0" if found[2] else "")
    if host is None or len(digits) > len("65535"):
        return None
    port = int(digits) if digits else default_port
    if port > 0xFFFF or (port in _OTHER_SERVICES and port != default_port):
        return None
    return host if port == default_port else f"{host}:{port}"


def _host(text: str) -> str | None:
    """An address, or a name as it is asked for in DNS: the labels of an IDN in Punycode."""
    if text.startswith("["):
        return _ipv6(text[1:-1]) if text.endswith("]") else None
    name = _ascii(unquote_to_bytes(text))
    if name is None or not name or _FORBIDDEN.intersection(name):
        return None
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    if len(name) > _NAME_LIMIT or not all(0 < len(label) <= _LABEL_LIMIT for label in labels):
        return None
    return ".".join(labels)


def _ascii(raw: bytes) -> str | None:
    """UTS 46 as browsers use it: without the rules on hyphens and on letters of host names."""
    if raw.isascii():
        return raw.decode("ascii").lower()
    import idna

    try:
        mapped = idna.uts46_remap(raw.decode(), std3_rules=False, transitional=False)
    except (UnicodeError, IndexError):
        return None
    try:
        return ".".join(map(_a_label, mapped.replace("。", ".").split(".")))
    except UnicodeError:
        return None


def _a_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    return "xn--" + label.encode("punycode").decode("ascii")


def _ipv4(labels: list[str]) -> str | None:
    """An IPv4 address in any of its notations: octal, hexadecimal, with fewer than four parts."""
    numbers = [_number(label) for label in labels]
    if not 1 <= len(numbers) <= 4 or any(one is None for one in numbers):
        return None
    *high, low = (one for one in numbers if one is not None)
    if any(one > 0xFF for one in high) or low >= 256 ** (5 - len(numbers)):
        return None
    value = low + sum(one << 8 * (3 - index) for index, one in enumerate(high))
    return str(ipaddress.IPv4Address(value))


def _number(text: str) -> int | None:
    base = 16 if text[:2].lower() == "0x" else 8 if text[:1] == "0" and len(text) > 1 else 10
    digits = text[2:] if base == 16 else text
    try:
        return int(digits or "0", base) if text and text.isalnum() and len(text) <= 32 else None
    except ValueError:
        return None


def _ipv6(text: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return None if address.scope_id else f"[{address}]"


_EDGE = bytes(range(0x21))
_ASCII = bytes(range(0x20, 0x7F)).decode()
