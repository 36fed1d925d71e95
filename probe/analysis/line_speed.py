"""The speed of the line, from one transfer of a line test."""

from probe.analysis.cross_traffic import crowded
from probe.analysis.paired_test import rate, sane
from probe.model import Transfer

# A fast line moves half an object in almost no time; the clock readings of two samples differ by at
# least this many seconds.
_SHORTEST = 0.001


def speed(transfer: Transfer) -> float | None:
    """Bytes per second of a finished transfer; None if it failed or shared the line."""
    if transfer.ended not in {"full", "cap"} or not sane(transfer) or crowded(transfer):
        return None
    return transfer.rate if transfer.rate is not None else rate(transfer, shortest=_SHORTEST)
