"""Compare two observations: addresses, certificates, failures, pages.

Nothing here decides which of the two is right.
"""

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from sys import intern
from urllib.parse import urlsplit

from probe.failure import Failure
from probe.model import Dns, Http, Reply, Tls, Trust
from probe.redirects import REDIRECTS, is_followed

# Second-level labels under which countries register names: the registrable name has three labels.
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "mil", "net", "ne", "or", "org", "go"})
_SIMHASH_NEAR = 10  # of 64 bits; unrelated pages differ in about 32
_LENGTH_NEAR = 0.7
_LENGTH_READ = 18 * 1024
_STOCK_BYTES = 1024
_STOCK_TITLES = (
    *("welcome to nginx", "apache2 ", "apache http server", "test page for", "it works", "iis"),
    *("http server test page", "centos", "rocky linux", "almalinux", "fedora", "index of /"),
    *("default web site page", "web server's default page", "domain default page", "default page"),
    *("default parallels plesk page", "default plesk page", "welcome to openresty", "success!"),
    *("400 ", "401 ", "403 ", "404 ", "405 ", "410 ", "429 ", "500 ", "502 ", "503 ", "504 "),
    *("301 moved", "302 found", "error 404", "not found", "bad request", "site not found"),
)
# Of each kind: what the records need that are measured or judged at a time.
_REMEMBERED = 256


@lru_cache(maxsize=_REMEMBERED)
def host_of(url: str) -> str:
    """The host of a URL, lower case, without brackets or port; empty when there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=_REMEMBERED)
def port_of(url: str) -> int | None:
    """The port of a URL, explicit or implied; None when it has no valid one."""
    try:
        parts = urlsplit(url)
        explicit = parts.port
    except ValueError:
        return None
    return explicit or (443 if parts.scheme == "https" else 80)


@lru_cache(maxsize=_REMEMBERED)
def registrable(host: str) -> str:
    """The registered part of a name: `a.b.example.com.kz` -> `example.com.kz`."""
    if is_address(host):
        return host
    labels = host.rstrip(".").lower().split(".")
    country = len(labels[-1]) == 2 and len(labels) > 2
    parts = labels[-3:] if country and labels[-2] in _SECOND_LEVEL else labels[-2:]
    return intern(".".join(parts))  # a run keeps it in many places


def same_site(one: str, other: str) -> bool:
    """Both hosts belong to one registered name."""
    return registrable(one) == registrable(other)


def same_brand(one: str, other: str) -> bool:
    """Both hosts have one name under different domains: `example.com`, `example.co.kz`."""
    return registrable(one).partition(".")[0] == registrable(other).partition(".")[0]


@lru_cache(maxsize=_REMEMBERED)
def is_address(text: str) -> bool:
    """The text is an IP address, not a name."""
    if ":" not in text and not text[-1:].isdigit():
        return False  # as most texts are; raising an error takes ten times as long
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=_REMEMBERED)
def is_bogon(address: str) -> bool:
    """The address is never a public server's (RFC 6890)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    mapped = getattr(parsed, "ipv4_mapped", None)
    return not (mapped or parsed).is_global or parsed.is_multicast


@lru_cache(maxsize=_REMEMBERED)
def prefix_of(address: str, *, ipv4: int, ipv6: int) -> str:
    """The network of these many bits that an address is in; empty for what is no address."""
    try:
        bits = ipv6 if ":" in address else ipv4
        return str(ipaddress.ip_network((address.partition("%")[0], bits), strict=False))
    except ValueError:
        return ""


def agree(one: Collection[str], other: Collection[str]) -> bool:
    """The two answers share an address."""
    return not set(one).isdisjoint(other)


_SERVFAIL = 2


def incompatible(first: Reply, second: Reply) -> bool:
    """The two replies to one query cannot both come from one honest resolver.

    A resolver may answer a repeated query twice and rotate the addresses of a large site, so
    different addresses alone are not enough: their IP TTLs must differ by more than one as well. A
    forwarder with several upstream servers may send SERVFAIL for one and the answer of another.
    """
    if first.rcode != second.rcode:
        return _SERVFAIL not in {first.rcode, second.rcode}
    one, other = set(first.answers), set(second.answers)
    if bool(one) != bool(other):
        return True
    if not one or one & other:
        return False
    if any(map(is_bogon, one)) != any(map(is_bogon, other)):
        return True
    if first.ip_ttl is None or second.ip_ttl is None:
        return False
    return abs(first.ip_ttl - second.ip_ttl) > 1


def forged_among(step: Dns) -> bool:
    """The query of this step got replies that contradict each other."""
    return any(incompatible(step.replies[0], later) for later in step.replies[1:])


def same_leaf(one: Tls, other: Tls) -> bool:
    """Both handshakes used the same server key, so one operator answered both."""
    if one.trust is None or other.trust is None:
        return False
    return bool(one.trust.leaf_key) and one.trust.leaf_key == other.trust.leaf_key


def same_issuer(one: Trust | None, other: Trust | None) -> bool:
    """Both leaves were signed by one authority, as far as the chains show."""
    if one is None or other is None or not one.issuer_key:
        return False
    return one.issuer_key == other.issuer_key


def same_failure(one: Failure | None, other: Failure | None) -> bool:
    """Both failed in the same way; a reset is not a timeout."""
    if one is None or other is None:
        return False
    return one is other or (one.is_unreachable and other.is_unreachable)


def is_unanswered(page: Http) -> bool:
    """The exchange failed before a byte of an answer came."""
    return page.failure is not None and page.status is None and not page.received_bytes


def similar_pages(one: Http, other: Http) -> bool:
    """Both pages are the same page: at least one strong similarity, and no contradiction.

    A different status is a contradiction. A similar length or header alone, or two missing titles,
    are not enough: block pages have those too.
    """
    if one.status != other.status:
        return False
    if one.sha256 is not None and one.sha256 == other.sha256 and one.received_bytes:
        return True
    if one.location and other.location:
        return same_site(host_of(one.location), host_of(other.location))
    if one.title and other.title and one.title == other.title:
        return _near_length(one, other) or _near_hash(one, other)
    return _near_hash(one, other) and _near_length(one, other)


def page_sign(page: Http) -> str | None:
    """What injected pages share: the foreign host they redirect to, or their SHA-256."""
    if page.location:
        away = not same_site(host_of(page.location), host_of(page.url))
        return f"to {host_of(page.location)}" if away else None
    return page.sha256 if page.received_bytes else None


def is_broken_redirect(page: Http) -> bool:
    """A redirect to nowhere: without a `Location`, or with one that no browser can request."""
    if page.status not in REDIRECTS or page.failure is not None or is_followed(page.location):
        return False
    return "location" in page.headers or not page.received_bytes


def is_stock(page: Http) -> bool:
    """A page that a server program brings along: equal ones come from unrelated servers."""
    title = (page.title or "").casefold()
    bare = (page.status or 0) >= 400 and page.received_bytes <= _STOCK_BYTES
    return title.startswith(_STOCK_TITLES) or (bare and not title and not page.links)


def _near_length(one: Http, other: Http) -> bool:
    # More is read of a page that came slowly.
    short, long = sorted(min(page.received_bytes, _LENGTH_READ) for page in (one, other))
    return long > 0 and short / long >= _LENGTH_NEAR / 2


def _near_hash(one: Http, other: Http) -> bool:
    if not one.fuzzy or not other.fuzzy:
        return False
    return (int(one.fuzzy, 16) ^ int(other.fuzzy, 16)).bit_count() <= _SIMHASH_NEAR
