"""What a run waits for, on a clock that jumps: no processor, no line, the same numbers everywhere.

    python -m bench.waiting [--line works anchors missing silent closing refusing slow one]
                            [--sites 2300] [--concurrency 64] [--kinds none usual every shut]

The run, its slots, second looks, limits of connections and choice of resolvers are the program's
own; an operation of the network takes the seconds that a round trip of 100 ms, a silence or a slow
server takes, and nothing else takes any. `bench/misbehaving.py` measures the same over packets.
"""

import argparse
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory

from bench.waiting_clock import CLOCK, VirtualLoop

# Before anything is imported that keeps the function.
time.monotonic = CLOCK.read

from bench.waiting_net import KINDS, LINES, Line, SimulatedSession, kinds_of, sites_of  # noqa: E402 - after the clock
from bench.waiting_run import Outcome, run  # noqa: E402 - after the clock


def measure(line: Line, kinds: str, sites: int, concurrency: int) -> Outcome:
    """One run, in virtual seconds."""
    session = SimulatedSession(line, sites_of(kinds_of(kinds, sites), sites))
    loop = VirtualLoop()
    try:
        with TemporaryDirectory() as folder:
            return loop.run_until_complete(run(session, concurrency, folder))
    finally:
        loop.close()


def described(outcome: Outcome) -> str:
    """One line of the table."""
    asked = ", ".join(f"{count} {what}" for what, count in sorted(outcome.asked.items()))
    return f"{outcome.seconds:8.1f} s  {dict(outcome.outcomes)}; {asked}"


def main(show: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--line", nargs="+", choices=LINES, default=list(LINES))
    parser.add_argument("--kinds", nargs="+", choices=(*KINDS, "shut"), default=["none"])
    parser.add_argument("--sites", type=int, default=2300)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    for line in options.line:
        for kinds in options.kinds:
            outcome = measure(LINES[line], kinds, options.sites, options.concurrency)
            show(f"{line:9} {kinds:6} {described(outcome)}")


if __name__ == "__main__":
    main()
