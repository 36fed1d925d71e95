"""A judging process in which some records never end, want all memory, or end the process."""

import os
import signal

from collector.judging import limits, worker
from probe.model import Outcome, Record, Verdict

ENDLESS, STUCK, GREEDY, DEADLY, BUGGY, FINE = (
    f"https://{name}.example/" for name in ("endless", "stuck", "greedy", "deadly", "buggy", "fine")
)
limits.RECORD_SECONDS = 0.2


def judge(record: Record) -> Verdict:
    """The verdict is `ok`, where there is one."""
    if record.input == ENDLESS:
        while True:
            pass
    if record.input == STUCK:
        sum(range(10**13))  # no Python code runs meanwhile
    if record.input == GREEDY:
        bytearray(10**11)
    if record.input == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if record.input == BUGGY:
        raise ValueError("bug")
    return Verdict(outcome=Outcome.OK)


if __name__ == "__main__":
    worker.main(judge)
