"""Clock readings that tell afterwards whether the machine was off, asleep or disconnected.

The monotonic clock stops during sleep, the boot clock does not, and the wall clock may be set.
Together with the boot id they classify each gap in a probe's history; only "awake and disconnected"
is evidence of a shutdown.
"""

import re
import time
from enum import StrEnum, unique
from pathlib import Path

from probe.model import Data
from probe.system_view import never_fatal, text

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_IS_BOOT_ID = re.compile(r"[0-9a-fA-F-]{8,64}")
# Seconds. Clocks are read one after the other, which takes time under load.
TOLERANCE = 5.0


class Reading(Data, frozen=True, kw_only=True):
    """All clocks at one moment.

    Attributes:
        boot: Id of this boot, or None where the system has none. It is never sent.
        monotonic, booted, wall: Seconds; `booted` includes sleep and is None where unknown.
        reached: Whether anything beyond the home network answered at that time.
    """

    boot: str | None
    monotonic: float
    booted: float | None
    wall: float
    reached: bool


@unique
class Gap(StrEnum):
    """The kind of gap between two readings."""

    NONE = "none"
    OFF = "off"
    ASLEEP = "asleep"
    CUT = "cut"
    STOPPED = "stopped"  # awake, but the probe did not run


def read(*, reached: bool) -> Reading:
    """Read every clock this system has."""
    return Reading(
        boot=boot_id(),
        monotonic=time.monotonic(),
        booted=_booted(),
        wall=time.time(),
        reached=reached,
    )


def boot_id() -> str | None:
    """Return the kernel's id of this boot; it changes with every boot."""
    found = text(_BOOT_ID).strip()
    return found if _IS_BOOT_ID.fullmatch(found) else None


@never_fatal(None)
def _booted() -> float | None:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else None


def slept(before: Reading, after: Reading) -> float:
    """Return the seconds of sleep between two readings of one boot."""
    if before.booted is None or after.booted is None:
        return max((after.wall - before.wall) - (after.monotonic - before.monotonic), 0.0)
    passed = after.booted - before.booted
    return max(passed - (after.monotonic - before.monotonic), 0.0)


def same_boot(before: Reading, after: Reading) -> bool:
    """Return whether the machine was not restarted between two readings."""
    if before.boot is not None and after.boot is not None:
        return before.boot == after.boot
    return after.monotonic >= before.monotonic


def gap(before: Reading, after: Reading, *, every: float) -> Gap:
    """Classify the gap between two readings that should be `every` seconds apart."""
    if not same_boot(before, after):
        return Gap.OFF
    asleep = slept(before, after)
    awake = after.monotonic - before.monotonic
    if asleep > TOLERANCE and asleep >= awake:
        return Gap.ASLEEP
    if awake > 2 * every + TOLERANCE:
        return Gap.STOPPED
    return Gap.NONE if before.reached and after.reached else Gap.CUT
