"""The address of an ndt7 server that a user names: `ndt7://HOST[:PORT][/?QUERY][#pin=SHA256]`.

Measurement Lab's servers publish the address of everyone who measures, so they are recognised by
their names and need a consent of their own. Any server whose name is not theirs is the user's
choice; a bare address says nothing about whose it is.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from probe.compare import is_address
from probe.i18n import _
from probe.interop.ndt7.protocol import LONGEST_QUERY
from probe.urls import TargetError, ascii_host

_MLAB = ("measurementlab.net", "measurement-lab.org")
_PIN = re.compile(r"pin=([0-9a-f]{64})")
_QUERY = re.compile(r"[!-~]*")  # visible ASCII: nothing that ends a line
_PORT = 443


class Ndt7UrlError(ValueError):
    """What a user named is no ndt7 server; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Ndt7Url:
    """One server.

    Attributes:
        query: Sent with the request, such as an access token; empty or with its `?`.
        pin: SHA-256 of its public key, hex, in place of a certificate that browsers trust.
    """

    host: str
    port: int
    query: str = ""
    pin: str | None = None

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORT else f"{host}:{self.port}"

    @property
    def publishes_addresses(self) -> bool:
        """Whether it is a server of Measurement Lab."""
        return any(self.host == name or self.host.endswith(f".{name}") for name in _MLAB)


def parse(text: str) -> Ndt7Url:
    """Read what the user named; raises `Ndt7UrlError`."""
    expected = _("{text}: expected ndt7://HOST[:PORT], with #pin=SHA256 for a key of its own")
    wrong = Ndt7UrlError(expected.format(text=text))
    try:
        parts = urlsplit(text.strip())
        port = parts.port or _PORT
        host = (parts.hostname or "").rstrip(".")
        host = host if is_address(host) else ascii_host(host)
    except (ValueError, TargetError) as error:
        raise wrong from error
    pin = _PIN.fullmatch(parts.fragment.lower())
    query = f"?{parts.query}" if parts.query else ""
    plain = parts.scheme == "ndt7" and parts.username is None and parts.path in {"", "/"}
    if not (plain and host) or (parts.fragment and pin is None):
        raise wrong
    if len(query) > LONGEST_QUERY or not _QUERY.fullmatch(query):
        raise wrong
    return Ndt7Url(host, port, query, pin[1] if pin else None)
