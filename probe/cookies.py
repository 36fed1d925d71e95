"""The cookies of one measurement: kept in memory, sent back as a browser would, never recorded.

Sites set a cookie, redirect, and redirect again for ever to a client that does not return it.
"""

from msgspec import Struct, field

from probe.compare import host_of, is_address, registrable

_MOST = 50
_LONGEST = 4096
_HIDDEN = "".join(map(chr, [*range(0x20), 0x7F]))


class Cookie(Struct, frozen=True):
    """One cookie; `everywhere` means that subdomains of `domain` get it as well."""

    name: str
    value: str
    domain: str
    path: str
    everywhere: bool
    secure: bool


class CookieJar(Struct):
    """Cookies by name, domain and path (RFC 6265), the oldest first."""

    _kept: dict[tuple[str, str, str], Cookie] = field(default_factory=dict)

    def take(self, url: str, header: bytes) -> None:
        """Keep what one `Set-Cookie` of a response for this URL says; nothing raises."""
        text = header[:_LONGEST].decode("latin-1")
        if any(char in _HIDDEN for char in text.replace("\t", " ")):
            return
        pair, *attributes = text.split(";")
        name, mark, value = (part.strip() for part in pair.partition("="))
        said = dict(_attribute(one) for one in reversed(attributes))
        host = host_of(url)
        domain = said.get("domain", "").lstrip(".").lower()
        if not mark or not name or (domain and not _may_set(host, domain)):
            return
        path = said.get("path", "")
        path = path if path.startswith("/") else _path(url).rpartition("/")[0] or "/"
        key = (name, domain or host, path)
        self._kept.pop(key, None)
        if not _is_expired(said) and len(self._kept) < _MOST:
            secure = "secure" in said
            self._kept[key] = Cookie(name, value, domain or host, path, bool(domain), secure)

    def header(self, url: str) -> bytes:
        """The value of `Cookie` in a request for this URL; empty if there is none."""
        host, path, secure = host_of(url), _path(url), url.startswith("https:")
        return "; ".join(
            f"{one.name}={one.value}"
            for one in self._kept.values()
            if (secure or not one.secure) and _domain_fits(one, host) and _path_fits(one.path, path)
        ).encode("latin-1")


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def _may_set(host: str, domain: str) -> bool:
    """A host sets cookies for itself and for its own registered name, not for a whole country."""
    if domain == host:
        return True
    inside = host.endswith(f".{domain}") and not is_address(host)
    return inside and "." in domain and registrable(domain) == registrable(host)


def _is_expired(said: dict[str, str]) -> bool:
    """Deleted by the server; other dates lie beyond a measurement."""
    age = said.get("max-age", "")
    return age == "0" or age.startswith("-") or "1970" in said.get("expires", "")


def _domain_fits(cookie: Cookie, host: str) -> bool:
    return host == cookie.domain or (cookie.everywhere and host.endswith(f".{cookie.domain}"))


def _path_fits(of_cookie: str, path: str) -> bool:
    return path == of_cookie or path.startswith(of_cookie.rstrip("/") + "/")


def _path(url: str) -> str:
    rest = url.partition("://")[2].partition("?")[0]
    return "/" + rest.partition("/")[2]
