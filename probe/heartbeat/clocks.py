"""Was the machine off, asleep, or cut off? Clock readings that tell the three apart afterwards.

Three clocks go differently through the same night. The monotonic clock stops in sleep, the boot
clock does not, and the wall clock may be set. With the boot's own id they say of every gap in a
probe's history why nothing was measured: only "awake and cut off" is evidence of a shutdown.
"""

import time
from collections.abc import Sequence
from enum import StrEnum, unique
from itertools import pairwise
from pathlib import Path

from probe.model import Data

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Clocks are read one after the other; a machine under load needs a moment.
TOLERANCE = 5.0


class Reading(Data, frozen=True, kw_only=True):
    """All clocks at one moment.

    Attributes:
        boot: The id of this boot, or None where the system has none. It stays on this machine.
        monotonic, booted, wall: Seconds; `booted` counts sleep and is None where unknown.
        reached: Whether anything beyond the home answered at that moment.
    """

    boot: str | None
    monotonic: float
    booted: float | None
    wall: float
    reached: bool


@unique
class Gap(StrEnum):
    """What lay between two readings."""

    NONE = "none"
    OFF = "off"
    ASLEEP = "asleep"
    CUT = "cut"
    STOPPED = "stopped"  # awake, but the probe did not run


def read(*, reached: bool) -> Reading:
    """Read every clock this system has."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return Reading(
        boot=boot_id(),
        monotonic=time.monotonic(),
        booted=time.clock_gettime(clock) if clock is not None else None,
        wall=time.time(),
        reached=reached,
    )


def boot_id() -> str | None:
    """The kernel's id of this boot; it changes with every start and names nobody."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    except OSError:
        return None


def slept(before: Reading, after: Reading) -> float:
    """Seconds of sleep between two readings of one boot."""
    if before.booted is None or after.booted is None:
        return max((after.wall - before.wall) - (after.monotonic - before.monotonic), 0.0)
    passed = after.booted - before.booted
    return max(passed - (after.monotonic - before.monotonic), 0.0)


def same_boot(before: Reading, after: Reading) -> bool:
    """The machine was not started again in between."""
    if before.boot is not None and after.boot is not None:
        return before.boot == after.boot
    return after.monotonic >= before.monotonic


def gap(before: Reading, after: Reading, *, every: float) -> Gap:
    """Why nothing was measured between two readings that should be `every` seconds apart."""
    if not same_boot(before, after):
        return Gap.OFF
    asleep = slept(before, after)
    awake = after.monotonic - before.monotonic
    if asleep > TOLERANCE and asleep >= awake:
        return Gap.ASLEEP
    if awake > 2 * every + TOLERANCE:
        return Gap.STOPPED
    return Gap.NONE if before.reached and after.reached else Gap.CUT


def cut_seconds(readings: Sequence[Reading], *, every: float) -> float:
    """How long this probe was awake, running, and reached nothing: what a shutdown looks like."""
    return sum(
        after.monotonic - before.monotonic
        for before, after in pairwise(readings)
        if gap(before, after, every=every) is Gap.CUT
    )
