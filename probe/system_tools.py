"""Run the tools of the system and read what they answer.

An answer is bytes: what a tool prints may be in any encoding, and none of it is trusted. A tool
that is missing, hangs or fails gives an answer too, never an exception.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

from msgspec import Struct

from probe.escape import plain
from probe.i18n import _

_SECONDS = 20.0
# Seconds. A property is read before every round, so a bus that hangs must not delay it for long.
_BUS_SECONDS = 3
_REASON_LENGTH = 200
# The value at the end of `v u 4` (busctl), `(<uint32 4>,)` (gdbus), `variant uint32 4` (dbus-send).
_VALUE = re.compile(rb"\b(true|false|\d+(?:\.\d+)?)\b")


class ToolAnswer(Struct, frozen=True):
    """What a tool answered.

    Attributes:
        code: Exit code; None if the tool is missing, could not be started or did not end.
    """

    code: int | None
    out: bytes = b""
    error: bytes = b""

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def text(self) -> str:
        """The output as text; bytes that are none are replaced."""
        return self.out.decode(errors="replace")

    @property
    def reason(self) -> str:
        """Why the tool failed, in one line."""
        said = b" ".join((self.error.strip() or self.out.strip()).split())
        if not said:
            return _("exit code {code}").format(code=self.code)
        return plain(said.decode(errors="backslashreplace"), _REASON_LENGTH)


def run(*command: str, data: bytes | None = None, seconds: float = _SECONDS) -> ToolAnswer:
    """Run a tool with these arguments and this standard input."""
    found = shutil.which(command[0])
    if found is None:
        return ToolAnswer(
            None, error=_("{command} is not installed").format(command=command[0]).encode()
        )
    # Messages are compared, so they must be in one language.
    environment = os.environ | {"LC_ALL": "C", "LANGUAGE": ""}
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed tools, arguments as a list, no shell
            [found, *command[1:]],
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return ToolAnswer(None, error=str(error).encode(errors="replace"))
    with process:
        try:
            out, said = process.communicate(data, timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            return ToolAnswer(
                None,
                error=_("no answer within {seconds:g} seconds").format(seconds=seconds).encode(),
            )
        except OSError as error:
            _kill(process)
            return ToolAnswer(None, error=str(error).encode(errors="replace"))
    return ToolAnswer(process.returncode, out, said)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a tool with all its children, which would keep its pipes open."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def bus_property(service: str, path: str, interface: str, name: str) -> str | None:
    """Return a boolean or a number that a service on the system bus tells; None if none does."""
    get = "org.freedesktop.DBus.Properties"
    for command in (
        (
            *("busctl", "--system", f"--timeout={_BUS_SECONDS}", "--auto-start=no", "call"),
            *(service, path, get, "Get", "ss", interface, name),
        ),
        (
            *("gdbus", "call", "--system", f"--timeout={_BUS_SECONDS}", f"--dest={service}"),
            *(f"--object-path={path}", f"--method={get}.Get", interface, name),
        ),
        (
            *("dbus-send", "--system", "--print-reply=literal", f"--dest={service}"),
            *(f"--reply-timeout={_BUS_SECONDS * 1000}", path, f"{get}.Get"),
            *(f"string:{interface}", f"string:{name}"),
        ),
    ):
        if shutil.which(command[0]) is not None:
            answer = run(*command, seconds=_BUS_SECONDS + 1)
            values = _VALUE.findall(answer.out) if answer.ok else []
            return values[-1].decode() if values else None
    return None
