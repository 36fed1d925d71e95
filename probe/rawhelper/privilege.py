"""Have no privilege: root becomes nobody, every capability goes, and nothing can bring one back.

Called when the one socket that needs CAP_NET_RAW is open. Also: die with the parent.
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
    """Give up everything; what cannot be given up here was not ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_LAST):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if os.geteuid() == 0:
        with suppress(OSError):  # in a namespace that has no such user there is nobody to become
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
    """Be ended by the kernel when the parent ends; after the user changed, which forgets it."""
    parent = os.getppid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended in between
        os._exit(0)


def held() -> int:
    """The effective capabilities, as a bit set."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - a kernel file
        line = next(line for line in status if line.startswith("CapEff:"))
    return int(line.split()[1], 16)
