"""The shapes of ClientHello, and SSL contexts that accept every server.

Certificates, ciphers and protocol versions are judged later, from the record. So nothing is
verified here, OpenSSL's security level is 0, and old versions are offered if this OpenSSL has them.
A context is made once and shared; sessions are not resumed.

`ech` is made in `ech.py`: neither CPython's ssl nor OpenSSL 3 supports Encrypted ClientHello.
"""

import ssl
from typing import Final

from msgspec import Struct, field

HELLOS: Final = ("default", "http11", "noalpn", "tls12", "tls13", "split")

# Like a browser's list, without anonymous and pre-shared-key suites, which authenticate nothing.
_CIPHERS = "DEFAULT:!aNULL:!PSK:!SRP:@SECLEVEL=0"
# SSL_OP_LEGACY_SERVER_CONNECT and SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION (RFC 5746 missing).
_LEGACY = 0x4 | 0x40000
_BROWSER = ("h2", "http/1.1")
_ALPN: dict[str, tuple[str, ...]] = {"http11": ("http/1.1",), "noalpn": ()}
_VERSION = {"tls12": ssl.TLSVersion.TLSv1_2, "tls13": ssl.TLSVersion.TLSv1_3}


class TlsContexts(Struct):
    """One SSL context per shape of ClientHello and ALPN list, made on first use."""

    _contexts: dict[tuple[str, tuple[str, ...]], ssl.SSLContext] = field(default_factory=dict)

    def get(self, hello: str, alpn: tuple[str, ...] | None = None) -> ssl.SSLContext:
        """The context for `hello`; `alpn` replaces its protocol list."""
        if hello not in HELLOS:
            raise ValueError(f"hello {hello!r}; one of {', '.join(HELLOS)} was expected")
        offered = _ALPN.get(hello, _BROWSER) if alpn is None else alpn
        key = (hello, offered)
        if key not in self._contexts:
            self._contexts[key] = _context(_VERSION.get(hello), offered)
        return self._contexts[key]


def _context(version: ssl.TLSVersion | None, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = version or ssl.TLSVersion.MINIMUM_SUPPORTED
    if version is not None:
        context.maximum_version = version
    context.set_ciphers(_CIPHERS)
    context.options |= _LEGACY
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def server_name(name: str | None) -> str | None:
    """The name without its trailing dot (RFC 6066)."""
    return name.rstrip(".") or None if name else None


def is_offerable(name: str) -> bool:
    """Whether TLS can carry this name: ASCII labels of 1 to 63 characters, 255 in all."""
    labels = name.split(".")
    return name.isascii() and len(name) <= 255 and all(0 < len(label) < 64 for label in labels)


def split(hello: bytes, name: str | None) -> tuple[bytes, bytes]:
    """Cut a ClientHello inside its server name, or in its middle if it has none."""
    wanted = name.encode("ascii") if name else b""
    at = hello.find(wanted) if wanted else -1
    cut = at + max(1, len(wanted) // 2) if at > 0 else len(hello) // 2
    return hello[:cut], hello[cut:]
