"""Run `qazprobe` or `qazcollector` with a shifted clock, to test hours of a shutdown in a minute.

    python shifted_clock.py FILE probe|collector ARGUMENTS…

The file holds the shift in seconds. Only clocks that timestamp events are shifted (the wall clock,
and those that distinguish "off" from "cut"); timers use the real one. The probe's timeouts are
shortened, and the collector records its own presence more often.
"""

import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

_real = time.time
_file = Path(sys.argv[1])


def shift() -> float:
    """The shift of the clock, seconds."""
    return float(_file.read_text())


def _replace(module: ModuleType, name: str, value: object) -> None:
    if name not in vars(module):
        raise AttributeError(f"{module.__name__} has no {name}")
    vars(module)[name] = value


def _probe() -> None:
    from probe.experiments import connectivity
    from probe.heartbeat import clocks, reachability, sender as heartbeat

    shifted = SimpleNamespace(
        time=time.time,
        monotonic=lambda: time.monotonic() + shift(),
        clock_gettime=lambda clock: time.clock_gettime(clock) + shift(),
        CLOCK_BOOTTIME=getattr(time, "CLOCK_BOOTTIME", None),
    )
    _replace(clocks, "time", shifted)
    _replace(heartbeat, "SECONDS", 2.5)
    _replace(reachability, "LIMIT", 0.8)
    _replace(connectivity, "LIMIT", 1.5)

    from probe.cli import main

    main()


def _collector() -> None:
    from collector import upkeep
    from collector.cli import main

    _replace(upkeep, "HEARTBEAT_SECONDS", 0.2)
    main()


if __name__ == "__main__":
    # Before a module binds it as a default argument.
    vars(time)["time"] = lambda: _real() + shift()
    command = sys.argv[2]
    sys.argv = [command, *sys.argv[3:]]
    _probe() if command == "probe" else _collector()
