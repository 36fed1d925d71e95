"""Whether a site offers HTTP/3: by an HTTPS record (RFC 9460), or by its page (Alt-Svc, RFC 7838).

Only the header of a page over proven TLS counts.
"""

import re
from collections.abc import Iterable

from probe.compare import host_of
from probe.model import Dns, Http, Step

# Protocol, host and port; no host before the colon means the same host.
_H3 = re.compile(r'(?:^|[,\s])h3="(?P<host>[^":]{0,253}):(?P<port>\d{1,5})"')


def offered(host: str, steps: Iterable[Step]) -> int | None:
    """The port of HTTP/3; 0: the host offers none; None: neither record nor page came."""
    silent = None
    for step in steps:
        if isinstance(step, Dns) and step.name == host and step.type == "HTTPS":
            if any("h3" in reply.alpn for reply in step.replies):
                return 443
        elif isinstance(step, Http) and step.proven and host_of(step.url) == host:
            port = alternative(step.headers.get("alt-svc", ""), host)
            if port is not None:
                return port
            silent = 0 if step.status is not None else silent
    return silent


def alternative(value: str, host: str) -> int | None:
    """The port of HTTP/3 on the same host, from an Alt-Svc header; None if there is none."""
    for found in _H3.finditer(value):
        if found["host"] in {"", host} and 0 < int(found["port"]) < 2**16:
            return int(found["port"])
    return None
