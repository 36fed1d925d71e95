"""Tell the user what changed since the last run: by a desktop notification, or by a command.

A desktop notification may be read by others, on a locked screen too, so it has numbers and no names
of sites. A command gets every change on its standard input and the numbers in its environment.
Nothing goes through a shell.
"""

import asyncio
import html
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from probe.config import PREFIX
from probe.errors import UserError
from probe.i18n import _
from probe.paths import VARIABLE
from probe.runner import changes
from probe.runner.changes import Change

DESKTOP = "desktop"
# Seconds. A command that hangs must not keep the next run waiting.
_LONGEST = 30.0
_NO_WINDOW = 0x08000000
# The texts come from the environment, so that nothing in them is ever code.
_TOAST = (
    "$m=[Windows.UI.Notifications.ToastNotificationManager,Windows.UI.Notifications,"
    "ContentType=WindowsRuntime];"
    "$x=$m::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02);"
    "$t=$x.GetElementsByTagName('text');"
    "[void]$t.Item(0).AppendChild($x.CreateTextNode($env:NOTICE_TITLE));"
    "[void]$t.Item(1).AppendChild($x.CreateTextNode($env:NOTICE_TEXT));"
    "$m::CreateToastNotifier('qazprobe').Show("
    "[Windows.UI.Notifications.ToastNotification]::new($x))"
)
_SCRIPT = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)


class Call(Struct, frozen=True):
    """A program to start: its arguments, more of its environment, its standard input."""

    argv: tuple[str, ...]
    environ: Mapping[str, str]
    text: str = ""


def command(setting: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the setting as `("desktop",)` or a command's arguments; None if there is none.

    Raises:
        UserError: There is no such command.
    """
    if setting is None:
        return None
    try:
        words = shlex.split(setting) if isinstance(setting, str) else list(setting)
    except ValueError as error:
        raise UserError(_("notify: {error}").format(error=error)) from error
    if words == [DESKTOP]:
        return (DESKTOP,)
    if not words or shutil.which(words[0]) is None:
        text = _('notify: {command}: no such command; expected "desktop" or a command')
        raise UserError(text.format(command=words[0] if words else '""'))
    return tuple(words)


async def tell(wanted: Sequence[str], found: Sequence[Change], *, run: str) -> str | None:
    """Tell the changes, if there are any; return a problem, or None."""
    if not found:
        return None
    call = _desktop(found) if list(wanted) == [DESKTOP] else _custom(wanted, found, run)
    if call is None:
        return _("no program for desktop notifications was found")
    return await _start(call)


def _custom(wanted: Sequence[str], found: Sequence[Change], run: str) -> Call:
    counted = changes.counts(found)
    environ = {f"CHANGES_{kind.upper()}": str(count) for kind, count in counted.items()}
    environ |= {"CHANGES_TOTAL": str(len(found)), "CHANGES_RUN": run}
    return Call(tuple(wanted), environ, "\n".join([*changes.text(found), ""]))


def _desktop(found: Sequence[Change]) -> Call | None:
    """Return how this system shows a notification."""
    title = _("qazprobe: the network changed")
    counts = _("{began} began, {ended} ended, {changed} changed").format(**changes.counts(found))
    body = _("{counts}; to see it: {command}").format(
        counts=counts, command="qazprobe results diff"
    )
    if (program := shutil.which("termux-notification")) is not None:
        return Call((program, "--title", title, "--content", body), {})
    if sys.platform == "darwin" and (program := shutil.which("osascript")) is not None:
        lines = (word for line in _SCRIPT for word in ("-e", line))
        return Call((program, *lines, title, body), {})
    if sys.platform == "win32" and (program := shutil.which("powershell")) is not None:
        texts = {"NOTICE_TITLE": title, "NOTICE_TEXT": body}
        return Call((program, "-NoProfile", "-NonInteractive", "-Command", _TOAST), texts)
    if (program := shutil.which("notify-send")) is not None:
        # The body may have markup; what follows `--` is no option.
        words = (program, "--app-name=qazprobe", "--", title, html.escape(body, quote=False))
        return Call(words, _session_bus())
    return None


def _session_bus() -> Mapping[str, str]:
    """Return the address of the user's message bus, which cron does not tell its jobs."""
    name = "DBUS_SESSION_BUS_ADDRESS"
    if os.environ.get(name) or not hasattr(os, "getuid"):
        return {}
    path = f"/run/user/{os.getuid()}/bus"
    return {name: f"unix:path={path}"} if os.path.exists(path) else {}  # noqa: PTH110 - a plain question


async def _start(call: Call) -> str | None:
    """Run a program with its text on its standard input; return a problem, or None."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # Settings may be secret (an invite); and a `qazprobe` that it starts has its own.
        if not name.startswith(PREFIX) or name == VARIABLE
    }
    name = call.argv[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *call.argv,
            env={**kept, **call.environ},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            creationflags=_NO_WINDOW if sys.platform == "win32" else 0,
        )
    except (OSError, ValueError) as error:
        return _("notify: {command}: {error}").format(command=name, error=error)
    try:
        async with asyncio.timeout(_LONGEST):
            await process.communicate(call.text.encode("utf-8", "replace"))
    except TimeoutError:
        return _("notify: {command}: stopped after {number} s").format(
            command=name, number=f"{_LONGEST:.0f}"
        )
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        text = _("notify: {command}: exit code {number}")
        return text.format(command=name, number=process.returncode)
    return None
