"""Checks of `qazprobe doctor`: timers, the heartbeat, and what lets a scheduled run be skipped."""

from collections.abc import Iterator
from pathlib import Path

from probe import battery, metered
from probe.admin import consent, schedule
from probe.admin.check import Check, CheckState
from probe.escape import plain
from probe.i18n import _


def timer() -> Iterator[Check]:
    found = schedule.survey()
    for problem in found.problems:
        yield Check("schedule", CheckState.NOTE, plain(problem))
    if found.installed:
        timers = "; ".join(f"{timer.name}: {plain(status)}" for timer, status in found.installed)
        yield Check("schedule", CheckState.FINE, timers)
    else:
        yield Check(
            "schedule", CheckState.NOTE, _("no timer is installed"), "qazprobe schedule install"
        )


def cost() -> Iterator[Check]:
    """Check what a scheduled run depends on: a metered connection and the battery."""
    line = metered.line_cost()
    if line.metered is None:
        message = _("unknown: nothing on this system tells, so a run measures")
        yield Check("metered", CheckState.FINE, message)
    elif line.metered:
        message = _("yes ({source}): scheduled runs are skipped, unless installed for this too")
        message = message.format(source=line.source)
        fix = "qazprobe schedule install --metered-too"
        yield Check("metered", CheckState.NOTE, message, fix)
    else:
        yield Check("metered", CheckState.FINE, _("no ({source})").format(source=line.source))
    power = battery.power()
    percent = "?" if power.percent is None else power.percent
    if power.on_battery:
        message = _("on battery, {percent}% ({source}): below {limit}% scheduled runs are skipped")
        limit = schedule.MIN_BATTERY
        told = message.format(percent=percent, source=power.source, limit=limit)
        yield Check("battery", CheckState.FINE, told)


def heartbeat(home: Path, *, role: str, has_collector: bool) -> Iterator[Check]:
    """Check that an allowed heartbeat has a timer, and that a timer's heartbeat is allowed.

    A control sends its own heartbeats and is not checked.
    """
    if role == "control":
        return
    given, has_timer = consent.read(home), schedule.heartbeat_installed()
    allowed = given is not None and given.current and given.heartbeat
    install = "qazprobe schedule install"
    if allowed and not has_timer:
        message = _("allowed, but no timer sends it every five minutes")
        yield Check(
            "heartbeat",
            CheckState.NOTE,
            message,
            _("{install}, or keep qazprobe run --every running").format(install=install),
        )
    elif has_timer and not allowed:
        message = _("a timer would send it, but it is not allowed")
        fix = _("qazprobe consent --heartbeat, or {install} --no-heartbeat").format(install=install)
        yield Check("heartbeat", CheckState.NOTE, message, fix)
    elif allowed and not has_collector:
        message = _("allowed, but no collector is configured to receive it")
        yield Check(
            "heartbeat",
            CheckState.NOTE,
            message,
            _("set one in qazprobe.toml, or add --collector URL"),
        )
    elif allowed:
        yield Check("heartbeat", CheckState.FINE, _("allowed and sent by a timer"))
