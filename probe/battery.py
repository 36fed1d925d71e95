"""Whether this machine runs on battery, and how full it is.

Linux: UPower over D-Bus, else `/sys/class/power_supply`. Android: `termux-battery-status`. Windows
and macOS have their own ways, which are untested. What cannot be known is None.
"""

import json
import re
import sys
from pathlib import Path

from msgspec import Struct

from probe.system_tools import bus_property, run
from probe.system_view import never_fatal

_UPOWER = "org.freedesktop.UPower"
_UPOWER_PATH = "/org/freedesktop/UPower"
_SUPPLIES = Path("/sys/class/power_supply")
_TERMUX = "termux-battery-status"


class Power(Struct, frozen=True):
    """The power supply of this machine.

    Attributes:
        on_battery: None if unknown.
        percent: Charge; None if unknown.
        source: What told it, for `doctor`; empty if nothing did.
    """

    on_battery: bool | None = None
    percent: int | None = None
    source: str = ""


@never_fatal(Power())
def power() -> Power:
    """Look at the power supply. A system that answers nonsense is unknown, never an error."""
    if sys.platform == "win32":
        return _windows()
    if sys.platform == "darwin":
        return _macos()
    return _termux() or _upower() or _supplies(_SUPPLIES)


def _termux() -> Power | None:
    answer = run(_TERMUX, seconds=5)
    if not answer.ok:
        return None
    said = json.loads(answer.out)
    return Power(said["plugged"] == "UNPLUGGED", int(said["percentage"]), _TERMUX)


def _upower() -> Power | None:
    on_battery = bus_property(_UPOWER, _UPOWER_PATH, _UPOWER, "OnBattery")
    if on_battery not in ("true", "false"):
        return None
    percent = None
    if on_battery == "true":
        device = f"{_UPOWER_PATH}/devices/DisplayDevice"
        percent = bus_property(_UPOWER, device, f"{_UPOWER}.Device", "Percentage")
    return Power(on_battery == "true", None if percent is None else int(float(percent)), "UPower")


def _supplies(folder: Path) -> Power:
    """Read what the kernel says: on battery if no mains is online and a battery discharges."""
    kinds: dict[str, list[Path]] = {"Mains": [], "Battery": []}
    for supply in sorted(folder.iterdir()) if folder.is_dir() else ():
        # A mouse or a headset has a battery too, of scope Device.
        if _word(supply / "scope") != "Device" and (kind := _word(supply / "type")) in kinds:
            kinds[kind].append(supply)
    batteries, mains = kinds["Battery"], kinds["Mains"]
    if not (batteries or mains):
        return Power()
    plugged = any(_word(one / "online") == "1" for one in mains)
    discharging = any(_word(one / "status") == "Discharging" for one in batteries)
    charges = [int(word) for one in batteries if (word := _word(one / "capacity")).isdecimal()]
    percent = round(sum(charges) / len(charges)) if charges else None
    return Power(discharging and not plugged, percent, str(folder))


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _macos() -> Power:
    answer = run("/usr/bin/pmset", "-g", "batt")
    if not answer.ok or "drawing from" not in answer.text:
        return Power()
    percent = re.search(r"(\d{1,3})%", answer.text)
    on_battery = "'Battery Power'" in answer.text.partition("\n")[0]
    return Power(on_battery, int(percent[1]) if percent else None, "pmset")


def _windows() -> Power:
    if sys.platform != "win32":
        return Power()
    import ctypes

    # SYSTEM_POWER_STATUS: four bytes (line, flag, percent, saver) and two numbers of four.
    status = (ctypes.c_ubyte * 12)()
    if not ctypes.windll.kernel32.GetSystemPowerStatus(status) or status[0] not in (0, 1):
        return Power()
    return Power(status[0] == 0, status[2] if status[2] <= 100 else None, "GetSystemPowerStatus")
