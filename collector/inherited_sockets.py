"""Sockets that a service manager opened before it started this process: sd_listen_fds(3).

Rule: they are this process's own; what it starts neither inherits them nor takes them for its own.
"""

import os
import socket
from collections.abc import MutableMapping

from collector.settings import SettingsError

_FIRST = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def inherited(environment: MutableMapping[str, str] = os.environ) -> tuple[socket.socket, ...]:
    """The sockets that were given to this process; none where no manager gave any.

    Raises:
        SettingsError: One of them is no listening TCP socket.
    """
    pid, number, _ = (environment.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not number.isdecimal():
        return ()
    return tuple(_taken(_FIRST + index) for index in range(int(number)))


def _taken(descriptor: int) -> socket.socket:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise SettingsError(f"descriptor {descriptor}: no socket was inherited") from error
    listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if found.family not in {socket.AF_INET, socket.AF_INET6} or not listens:
        raise SettingsError(f"descriptor {descriptor}: a listening TCP socket expected")
    found.set_inheritable(False)
    found.settimeout(0)
    return found
