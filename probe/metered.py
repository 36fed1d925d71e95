"""Whether this line is metered, and why a run is therefore skipped.

Linux: NetworkManager over D-Bus; it also guesses, for example behind a phone's hotspot. Android:
`termux-wifi-connectioninfo`. Windows and macOS have their own ways, which are untested. Unknown is
not metered: a run measures.
"""

import json
import re
import sys

from msgspec import Struct

from probe import battery
from probe.config import Settings
from probe.i18n import _
from probe.system_tools import bus_property, run
from probe.system_view import never_fatal

_MANAGER = "org.freedesktop.NetworkManager"
# NMMetered: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no.
_NM_METERED = {"1": True, "2": False, "3": True, "4": False}
_TERMUX = "termux-wifi-connectioninfo"
# NetworkCostType of Windows; "Unknown" is left out.
_WINDOWS_COSTS = {"Unrestricted": False, "Fixed": True, "Variable": True}
_WINDOWS_COST = (
    "[Windows.Networking.Connectivity.NetworkInformation,Windows.Networking.Connectivity,"
    "ContentType=WindowsRuntime]::GetInternetConnectionProfile()"
    ".GetConnectionCost().NetworkCostType"
)
# The network of every iPhone's hotspot. macOS has no command that tells what a line costs.
_HOTSPOT = re.compile(rb"gateway: 172\.20\.10\.\d+\b")


class LineCost(Struct, frozen=True):
    """Whether the line is metered.

    Attributes:
        metered: None if unknown.
        source: What told it, for `doctor`; empty if nothing did.
    """

    metered: bool | None = None
    source: str = ""


@never_fatal(LineCost())
def line_cost() -> LineCost:
    """Look at the line. A system that answers nonsense is unknown, never an error."""
    if sys.platform == "win32":
        return _windows()
    if sys.platform == "darwin":
        return _macos()
    return _termux() or _network_manager()


def obstacle(settings: Settings) -> str | None:
    """Return why nothing should be measured now, or None."""
    if settings.unmetered_only and (line := line_cost()).metered:
        message = _("skipped: this connection is metered ({source}); nothing was measured")
        return message.format(source=line.source)
    limit = settings.min_battery
    now = battery.power() if limit else battery.Power()
    if now.on_battery and now.percent is not None and now.percent < limit:
        message = _("skipped: on battery with {percent}%, below {limit}%; nothing was measured")
        return message.format(percent=now.percent, limit=limit)
    return None


def _network_manager() -> LineCost:
    path = "/org/freedesktop/NetworkManager"
    metered = _NM_METERED.get(bus_property(_MANAGER, path, _MANAGER, "Metered") or "")
    return LineCost() if metered is None else LineCost(metered, "NetworkManager")


def _termux() -> LineCost | None:
    """On Android an app learns whether Wi-Fi is in use; mobile data counts as metered."""
    answer = run(_TERMUX, seconds=5)
    if not answer.ok:
        return None
    return LineCost(json.loads(answer.out)["supplicant_state"] != "COMPLETED", _TERMUX)


def _macos() -> LineCost:
    answer = run("/sbin/route", "-n", "get", "default")
    hotspot = answer.ok and _HOTSPOT.search(answer.out)
    return LineCost(metered=True, source="hotspot") if hotspot else LineCost()


def _windows() -> LineCost:
    answer = run("powershell", "-NoProfile", "-NonInteractive", "-Command", _WINDOWS_COST)
    metered = _WINDOWS_COSTS.get(answer.text.strip()) if answer.ok else None
    return LineCost() if metered is None else LineCost(metered, "Windows")
