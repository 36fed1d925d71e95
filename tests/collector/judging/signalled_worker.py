"""A judging process that looks only when it is told that something waits."""

from collector.judging import worker
from probe.model import Outcome, Record, Verdict

worker.POLL_SECONDS = 3600.0


def judge(_record: Record) -> Verdict:
    """The verdict is `ok`."""
    return Verdict(outcome=Outcome.OK)


if __name__ == "__main__":
    worker.main(judge)
