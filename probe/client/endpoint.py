"""The address of a collector, and how it is authenticated before anything is sent to it.

Rule: a collector is authenticated by Mozilla's roots or by its pinned key. The machine's own trust
store is never used, since a country's interception root may be installed in it. Plain HTTP is for
loopback and for laboratories.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import socket
import ssl
import threading
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from probe.i18n import _

_PORTS = {"https": 443, "http": 80}
# Connections are tried to each address in turn, so there must be few.
_ADDRESS_LIMIT = 4


class EndpointError(ValueError):
    """An invalid collector URL; the message says what was expected."""


class CollectorEndpoint(Struct, frozen=True):
    """One collector.

    Attributes:
        url: Scheme, host, port and path prefix, without a trailing slash; its local identifier.
        pin: SHA-256 of its public key (SubjectPublicKeyInfo), hex. It replaces the check of roots
            and name, so that a collector can be reached by a bare address.
        ca_file: Root certificates of a test laboratory instead of Mozilla's.
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
        """The host name for DNS and SNI, or None if the URL has a bare address."""
        return None if _address(self.host) else self.host

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def base(self, address: str) -> str:
        """Return the base URL for a connection to `address`."""
        host = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def parse(
    url: str, *, pin: str | None = None, ca_file: Path | None = None, lab: bool = False
) -> CollectorEndpoint:
    """Parse a collector's URL; a pin may also be given as its fragment, `#pin=<hex>`."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise EndpointError(
            _("collector {url!r}: not a URL ({error})").format(url=url, error=error)
        ) from error
    if parts.scheme not in _PORTS or not host:
        raise EndpointError(_("collector {url!r}: expected https://HOST[:PORT]").format(url=url))
    if parts.username or parts.query:
        raise EndpointError(
            _("collector {url!r}: a user name or query is not allowed").format(url=url)
        )
    if parts.scheme == "http" and not (lab or is_loopback(host)):
        raise EndpointError(
            _("collector {url!r}: plain http is only for loopback or --lab; use https").format(
                url=url
            )
        )
    number = port or _PORTS[parts.scheme]
    bare = CollectorEndpoint("", parts.scheme, host, number, parts.path.rstrip("/"))
    name = f"{bare.scheme}://{bare.authority}{bare.prefix}"
    wanted = _pin(pin or parts.fragment.removeprefix("pin=") or None, url)
    return CollectorEndpoint(name, bare.scheme, host, number, bare.prefix, wanted, ca_file, lab)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def tls_context(endpoint: CollectorEndpoint) -> ssl.SSLContext:
    """Build the TLS context for this collector: TLS 1.2 or later, nothing from the environment."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if endpoint.pin:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        made.sslobject_class = _pinned(endpoint.pin)
    else:
        import certifi

        made.load_verify_locations(endpoint.ca_file or certifi.where())
    return made


async def addresses(endpoint: CollectorEndpoint, *, limit: float) -> tuple[str, ...]:
    """Resolve the collector's name; () if that fails or takes more than `limit` seconds.

    Runs in a daemon thread: the system's resolver can take half a minute to time out, and the exit
    of the program must not wait for it.
    """
    if endpoint.name is None:
        return (endpoint.host,)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def deliver(answer: tuple[str, ...]) -> None:
        if not found.done():
            found.set_result(answer)

    def resolve() -> None:
        answer = _resolve(endpoint.host, endpoint.port)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(deliver, answer)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        async with asyncio.timeout(limit):
            return await found
    except TimeoutError:
        return ()


def _resolve(host: str, port: int) -> tuple[str, ...]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))[:_ADDRESS_LIMIT]


def _pin(text: str | None, url: str) -> str | None:
    if text is None:
        return None
    pin = text.lower().replace(":", "")
    if len(pin) != 64 or not set(pin) <= set("0123456789abcdef"):
        raise EndpointError(
            _("collector {url!r}: a pin is the SHA-256 of a public key, 64 hex digits").format(
                url=url
            )
        )
    return pin


def _pinned(pin: str) -> type[ssl.SSLObject]:
    """Return a TLS object whose handshake fails for any other key, before data is sent."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            if key_of(self.getpeercert(binary_form=True) or b"") != pin:
                raise ssl.SSLCertVerificationError("the key differs from the pinned key")

    return Pinned


def key_of(der: bytes) -> str:
    """Return the SHA-256 of a certificate's SubjectPublicKeyInfo, hex; empty if unreadable."""
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
