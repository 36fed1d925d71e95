"""Local ports for flows: packets of one flow have one port, and so go one way.

A load balancer chooses the way of a packet by its addresses and ports (RFC 2992), so two packets
are compared only where both had the same ports (the principle of Paris traceroute).
"""

import socket
from contextlib import suppress


class FlowPorts:
    """One local port for each flow, chosen by the system when the flow is first used."""

    def __init__(self) -> None:
        self._ports: dict[int, int] = {}

    def of(self, flow: int | None) -> int | None:
        """The port of a flow; None: any port, where there is no flow or no free port."""
        if flow is None:
            return None
        if flow not in self._ports:
            with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.bind(("", 0))
                self._ports[flow] = int(sock.getsockname()[1])
        return self._ports.get(flow)


def bind_port(sock: socket.socket, port: int | None) -> None:
    """Send from this port; from any where it is still in use, or where it is None."""
    if port is None:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
