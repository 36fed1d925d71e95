"""The real command as on Windows or macOS, on this machine.

`python -m tests.foreign_platform windows run --dry-run`; with `import` in place of a command, every
module of the probe is imported.

Modules of `probe` see a `sys`, `os`, `signal`, `socket` and `time` without what the other system
lacks, and no module that it lacks; the standard library and the dependencies, which know both
systems, see everything. Files of the kernel are missing, the event loop takes no signal handlers
and no readers on Windows, and a text file that is opened without an encoding is an error, because
Windows would take its code page.
"""

import asyncio
import builtins
import ctypes
import errno
import fcntl
import importlib
import os
import pkgutil
import signal
import socket
import ssl
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MISSING_MODULES = {
    "windows": names(
        "_posixsubprocess crypt curses fcntl grp nis ossaudiodev posix pty pwd readline resource"
        " spwd syslog termios tty"
    ),
    "macos": names("msvcrt nis ossaudiodev spwd winreg _winapi"),
}
# Names of the standard library that Windows has; of these modules it lacks most others.
_WINDOWS_SIGNALS = frozenset({"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"})
_WINDOWS_OS = names(
    "O_RDONLY O_WRONLY O_RDWR O_APPEND O_CREAT O_EXCL O_TRUNC P_NOWAIT P_WAIT R_OK W_OK X_OK F_OK"
    " EX_OK"
)
_POSIX_OS = names(
    "chown chroot ctermid eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf"
    " get_blocking getegid geteuid getgid getgrouplist getgroups getloadavg getpgid getpgrp"
    " getpriority getresgid getresuid getsid getuid getxattr initgroups killpg lchown lockf major"
    " makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open pipe2 posix_fadvise"
    " posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev readv register_at_fork"
    " sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups"
    " setpgid setpriority setregid setresgid setresuid setreuid setsid setuid setxattr splice"
    " statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname unshare wait wait3 wait4 waitid writev"
)
_LINUX_OS = names(
    "eventfd fdatasync getrandom getxattr memfd_create pidfd_open pipe2 posix_fadvise"
    " posix_fallocate sched_getaffinity sched_setaffinity setxattr splice unshare O_TMPFILE O_PATH"
    " O_DIRECT O_NOATIME getresuid getresgid"
)
_LINUX_SOCKET = names(
    "AF_NETLINK AF_PACKET AF_VSOCK SO_BINDTODEVICE SO_MARK SO_PROTOCOL"
    " TCP_INFO TCP_USER_TIMEOUT TCP_CORK TCP_QUICKACK TCP_CONGESTION"
)
_POSIX_SOCKET = names(
    "AF_UNIX SO_REUSEPORT MSG_DONTWAIT MSG_NOSIGNAL MSG_EOR SCM_RIGHTS CMSG_LEN CMSG_SPACE"
    " sethostname if_nameindex send_fds recv_fds"
)
_MACOS_RECVTTL = 24  # <netinet/in.h> of macOS; another option of Linux's IP layer


class Module:
    """A module in place of another: with some names changed, and some gone."""

    def __init__(
        self, real: ModuleType, gone: Callable[[str], bool], changed: Mapping[str, object]
    ) -> None:
        self.__dict__.update(_real=real, _gone=gone, _changed=dict(changed))

    def __getattr__(self, name: str) -> Any:
        if name in self._changed:
            return self._changed[name]
        if self._gone(name):
            raise AttributeError(f"module {self._real.__name__!r} has no attribute {name!r} here")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)


class WindowsSocket(socket.socket):
    """A socket without the calls that Windows lacks."""

    recvmsg = property()
    recvmsg_into = property()
    sendmsg = property()


class MacosSocket(socket.socket):
    """A socket that takes the option of macOS for the IP TTL, and reports none."""

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if (level, option) != (socket.IPPROTO_IP, _MACOS_RECVTTL):
            super().setsockopt(level, option, *value)


class _AnswersNothing:
    """A library of Windows: `windll.kernel32.GetSystemPowerStatus(…)` is 0."""

    def __getattr__(self, _: str) -> "_AnswersNothing":
        return self

    def __call__(self, *_: object) -> int:
        return 0


def _locking(handle: int, mode: int, size: int) -> None:
    """`msvcrt.locking`: a byte range from the position of the file, not waited for."""
    del mode
    fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, size, os.lseek(handle, 0, os.SEEK_CUR))


def _open_no_folder(path: Any, flags: int, mode: int = 0o777, **_: object) -> int:
    """`os.open` of Windows, which opens no folder."""
    if os.path.isdir(path):  # noqa: PTH112 - any kind of path
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    return os.open(path, flags, mode)


def _windows() -> dict[str, object]:
    gone_socket = _POSIX_SOCKET | _LINUX_SOCKET
    changed = {"name": "nt", "O_BINARY": 0, "open": _open_no_folder, "supports_dir_fd": set()}
    return {
        "sys": Module(sys, lambda _: False, {"platform": "win32"}),
        "os": Module(
            os, lambda n: n in _POSIX_OS or (n.startswith("O_") and n not in _WINDOWS_OS), changed
        ),
        "signal": Module(
            signal,
            lambda n: n.startswith("SIG") and n[3:4] != "_" and n not in _WINDOWS_SIGNALS,
            {},
        ),
        "socket": Module(socket, gone_socket.__contains__, {"socket": WindowsSocket}),
        "time": Module(time, lambda n: n.startswith(("clock_", "CLOCK_")), {}),
        # Every function of Windows answers 0: it failed, or it does not know.
        "ctypes": Module(ctypes, lambda _: False, {"windll": _AnswersNothing()}),
        "ssl": Module(ssl, lambda _: False, {"enum_certificates": lambda _: []}),
        "msvcrt": SimpleNamespace(LK_NBLCK=2, LK_UNLCK=0, locking=_locking),
    }


def _macos() -> dict[str, object]:
    return {
        "sys": Module(sys, lambda _: False, {"platform": "darwin"}),
        "os": Module(os, _LINUX_OS.__contains__, {}),
        "socket": Module(socket, _LINUX_SOCKET.__contains__, {"socket": MacosSocket}),
        "time": Module(time, lambda n: n == "CLOCK_BOOTTIME", {}),
    }


def _without_kernel_files(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and str(arguments[0]).startswith(("/proc/", "/sys/", "/run/")):
        raise FileNotFoundError(errno.ENOENT, "not on this system", str(arguments[0]))


def _refuse(*_: object) -> NoReturn:
    raise NotImplementedError


def install(system: str) -> None:
    """Make this process look like the other system to the modules of `probe`."""
    replaced = _windows() if system == "windows" else _macos()
    missing = MISSING_MODULES[system]
    real = builtins.__import__

    def imported(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the name of the built-in
        locals: Mapping[str, object] | None = None,  # noqa: A002 - the name of the built-in
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        importer = str((globals or {}).get("__name__", ""))
        if importer.partition(".")[0] == "probe" and not level:
            top = name.partition(".")[0]
            if name in replaced:
                return replaced[name]
            if top in missing:
                raise ModuleNotFoundError(f"No module named {name!r} on {system}", name=name)
        return real(name, globals, locals, fromlist, level)

    builtins.__import__ = imported
    sys.addaudithook(_without_kernel_files)
    warnings.filterwarnings("error", category=EncodingWarning, module=r"probe\b")
    if system == "windows":
        for name in ("add_signal_handler", "remove_signal_handler", "add_reader", "add_writer"):
            setattr(asyncio.SelectorEventLoop, name, _refuse)


def import_everything() -> None:
    """Import every module of the probe but the laboratory and the helper, which are of Linux."""
    probe = importlib.import_module("probe")
    for found in pkgutil.walk_packages(probe.__path__, "probe."):
        if not found.name.startswith(("probe.lab", "probe.rawhelper")):
            importlib.import_module(found.name)


def main(system: str, words: list[str]) -> None:
    """Run one command."""
    install(system)
    if words == ["import"]:
        import_everything()
        return
    importlib.import_module("probe.cli").main(words)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
