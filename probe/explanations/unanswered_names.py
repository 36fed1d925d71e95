"""An innocent explanation of queries without an answer: a line that is gone for seconds."""

from probe.analysis.dns_answers import NO_ADDRESS
from probe.analysis.evidence import Evidence
from probe.failure import Failure
from probe.model import Dns, Step
from probe.rule import Match


def line_was_gone(e: Evidence, match: Match) -> str | None:
    """While queries of the system waited in vain, something else was answered on this connection.

    In the earlier half of a wait, so that a repeated query had its time as well.
    """
    asked = _asked_of_system(e, match)
    if not asked or any(s.failure is not Failure.TIMEOUT for s in asked):
        return None
    answered = [s.at + s.elapsed for s in e.steps if _answered(s)]
    waits = [(s.at, s.at + s.elapsed / 2) for s in asked]
    if any(begin <= moment <= half for begin, half in waits for moment in answered):
        return None
    return (
        "Nothing else was answered while these queries waited: the connection may have been gone."
    )


def _answered(step: Step) -> bool:
    return step.failure is None or (isinstance(step, Dns) and step.failure in NO_ADDRESS)


def _asked_of_system(e: Evidence, match: Match) -> list[Dns]:
    return [s for s in match.on_target(e) if isinstance(s, Dns) and s.resolver == "system"]
