"""Drop privileges: root becomes `nobody`, and all capabilities are dropped irrevocably.

Called after the socket that needs CAP_NET_RAW was opened. Also ends the process with its parent.
"""

import ctypes
import os
import signal
import struct
from contextlib import suppress

_NOBODY = 65534
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_VERSION_3 = 0x20080522
_LAST = 64


def drop() -> None:
    """Drop user, groups and capabilities; calls that fail have nothing to drop."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_LAST):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if os.geteuid() == 0:
        with suppress(OSError):  # a user namespace may not map this user
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    nothing = ctypes.create_string_buffer(24)
    libc.capset(header, nothing)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    die_with_parent(libc)


def die_with_parent(libc: ctypes.CDLL) -> None:
    """End when the parent ends. Must follow the change of user, which resets it."""
    parent = os.getppid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent ended in between
        os._exit(0)
