"""Run `qazprobe` or `qazcollector` by a clock that a file sets: hours of a shutdown in a minute.

    python shifted_clock.py FILE probe|collector ARGUMENTS…

The file holds how many seconds the world is ahead of the machine. Only the clocks that say *when*
something was are moved (the wall clock, and those that tell "off" from "cut"); timers run by the
real one. So that the dark does not take real minutes, a probe's patience is shortened as well, and
a collector notes more often that it listens.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

_real = time.time
_file = Path(sys.argv[1])


def ahead() -> float:
    """How far the world is ahead of this machine's clock."""
    return float(_file.read_text())


def _probe() -> None:
    from probe.experiments import connectivity
    from probe.heartbeat import clocks, reachability, sender as heartbeat

    shifted = SimpleNamespace(
        time=time.time,
        monotonic=lambda: time.monotonic() + ahead(),
        clock_gettime=lambda clock: time.clock_gettime(clock) + ahead(),
        CLOCK_BOOTTIME=getattr(time, "CLOCK_BOOTTIME", None),
    )
    vars(clocks)["time"] = shifted
    vars(heartbeat)["SECONDS"] = 2.5
    vars(reachability)["LIMIT"] = 0.8
    vars(connectivity)["LIMIT"] = 1.5

    from probe.cli import main

    main()


def _collector() -> None:
    from collector import serve
    from collector.cli import main

    vars(serve)["LISTEN_SECONDS"] = 0.2
    main()


if __name__ == "__main__":
    # Before anything takes hold of it as a default.
    vars(time)["time"] = lambda: _real() + ahead()
    command = sys.argv[2]
    sys.argv = [command, *sys.argv[3:]]
    _probe() if command == "probe" else _collector()
