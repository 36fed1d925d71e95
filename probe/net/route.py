"""Whether this machine knows a way to an address, asked without sending anything."""

import socket


def has_route(address: str) -> bool:
    """Whether the kernel has a route there: connecting a UDP socket only looks for one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 53))
            source = str(sock.getsockname()[0])
    except OSError:
        return False
    return not source.startswith("fe80:")
