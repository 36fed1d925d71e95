"""Where a collector is, and what must be true before a single byte of ours goes there.

Rule: a collector proves itself by Mozilla's roots or by the one key that was pinned for it. The
machine's own store is never asked, since a country's interception root may have been installed in
it. Plain HTTP is for loopback and for laboratories.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80}
# A connection is tried to each in turn, so there must be few.
_ADDRESS_LIMIT = 4


class EndpointError(ValueError):
    """A collector's address that cannot be used; one line saying what was expected."""


@dataclass(frozen=True, slots=True)
class CollectorEndpoint:
    """One collector.

    Attributes:
        url: Scheme, host, port and path prefix, without a trailing slash: also its name locally.
        pin: SHA-256 of its public key (SubjectPublicKeyInfo), hex. It replaces roots and name, so
            that a collector can be reached by its bare address.
        ca_file: A laboratory's own roots instead of Mozilla's.
    """

    url: str
    scheme: str
    host: str
    port: int
    prefix: str = ""
    pin: str | None = None
    ca_file: Path | None = None
    lab: bool = False

    @property
    def name(self) -> str | None:
        """The host name to resolve and to offer, or None when the URL has a bare address."""
        return None if _address(self.host) else self.host

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def base(self, address: str) -> str:
        """The URL to dial when the collector is at `address`."""
        host = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def parse(
    url: str, *, pin: str | None = None, ca_file: Path | None = None, lab: bool = False
) -> CollectorEndpoint:
    """Read a collector's URL; a pin may also be written as its fragment, `#pin=<hex>`."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise EndpointError(f"collector {url!r}: not a URL ({error})") from error
    if parts.scheme not in _PORTS or not host:
        raise EndpointError(f"collector {url!r}: expected https://HOST[:PORT]")
    if parts.username or parts.query:
        raise EndpointError(f"collector {url!r}: takes no user name and no query")
    if parts.scheme == "http" and not (lab or is_loopback(host)):
        raise EndpointError(f"collector {url!r}: plain http is for loopback or --lab; use https")
    number = port or _PORTS[parts.scheme]
    bare = CollectorEndpoint("", parts.scheme, host, number, parts.path.rstrip("/"))
    name = f"{bare.scheme}://{bare.authority}{bare.prefix}"
    wanted = _pin(pin or parts.fragment.removeprefix("pin=") or None, url)
    return CollectorEndpoint(name, bare.scheme, host, number, bare.prefix, wanted, ca_file, lab)


def is_loopback(host: str) -> bool:
    """Whether this host is the machine itself."""
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def context(endpoint: CollectorEndpoint) -> ssl.SSLContext:
    """The TLS settings for this collector: nothing from the environment, nothing below TLS 1.2."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if endpoint.pin:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        made.sslobject_class = _pinned(endpoint.pin)
    else:
        made.load_verify_locations(_roots(endpoint))
    return made


async def addresses(endpoint: CollectorEndpoint, *, limit: float) -> tuple[str, ...]:
    """Resolve the collector's name, or give up after `limit` seconds; () when it has none now.

    In a thread of its own that nothing waits for: the system's resolver can take half a minute to
    admit that it is dead, and no exit should hang on it.
    """
    if endpoint.name is None:
        return (endpoint.host,)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def ask() -> None:
        answer = _resolve(endpoint.host, endpoint.port)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(_give, found, answer)

    threading.Thread(target=ask, daemon=True).start()
    try:
        async with asyncio.timeout(limit):
            return await found
    except TimeoutError:
        return ()


def _give(found: asyncio.Future[tuple[str, ...]], answer: tuple[str, ...]) -> None:
    if not found.done():
        found.set_result(answer)


def _resolve(host: str, port: int) -> tuple[str, ...]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))[:_ADDRESS_LIMIT]


def _roots(endpoint: CollectorEndpoint) -> str:
    if endpoint.ca_file is not None:
        return str(endpoint.ca_file)
    import certifi

    return certifi.where()


def _pin(text: str | None, url: str) -> str | None:
    if text is None:
        return None
    pin = text.lower().replace(":", "")
    if len(pin) != 64 or not set(pin) <= set("0123456789abcdef"):
        raise EndpointError(f"collector {url!r}: a pin is the SHA-256 of a public key, 64 hex")
    return pin


def _pinned(pin: str) -> type[ssl.SSLObject]:
    """A TLS end that finishes no handshake with another key, so that nothing is sent to one."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            if key_of(self.getpeercert(binary_form=True) or b"") != pin:
                raise ssl.SSLCertVerificationError("the key is not the one that was pinned")

    return Pinned


def key_of(der: bytes) -> str:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, hex; empty for no certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except ValueError:
        return ""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
