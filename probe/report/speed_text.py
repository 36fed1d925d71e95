"""What a test of the line's speed found, for a person and for a script; no I/O.

An object that came in less than half a second shows how TCP begins, not how fast the line is: then
its rate is only a lower bound.
"""

from collections.abc import Iterator

import msgspec

from probe.analysis.cross_traffic import crowded
from probe.analysis.line_speed import speed
from probe.experiments.speed import ENOUGH
from probe.failure import Failure
from probe.i18n import _
from probe.model import Record, Tcp, Tls, Transfer
from probe.report.glossary import FAILURES, TRUST


def lines(record: Record) -> Iterator[str]:
    """One line for each direction, or the reason why nothing was measured."""
    moved = [step for step in record.steps if isinstance(step, Transfer)]
    if not moved:
        yield _("Nothing was measured: {reason}.").format(reason=_obstacle(record))
    for step in moved:
        yield _line(step)


def summary(record: Record) -> str:
    """The same as one JSON object."""
    verdict = record.verdict
    fields: dict[str, object] = {
        "id": record.id,
        "outcome": verdict.outcome if verdict else None,
        "reason": verdict.rules[0].reason if verdict and verdict.rules else None,
    }
    for step in record.steps:
        if isinstance(step, Transfer):
            fields[step.direction] = _numbers(step)
    return msgspec.json.encode(fields).decode()


def _numbers(step: Transfer) -> dict[str, object]:
    rate = speed(step)
    return {
        "server": step.host,
        "protocol": step.protocol,
        "bits_per_second": None if rate is None else round(8 * rate),
        "lower_bound": _brief(step),
        "bytes": step.received_bytes,
        "ended": step.ended,
        "failure": step.failure,
        "min_rtt": min((s.min_rtt for s in step.samples if s.min_rtt), default=None),
    }


def _brief(step: Transfer) -> bool:
    """It was over before the line was full."""
    return step.ended == "full" and (not step.samples or step.samples[-1].at < ENOUGH)


def _line(step: Transfer) -> str:
    rate = speed(step)
    way = _("Download") if step.direction == "down" else _("Upload")
    if rate is None:
        return _("{way}: no number: {reason}").format(way=way, reason=_reason(step))
    text = _("{way}: at least {megabits} Mbit/s") if _brief(step) else _("{way}: {megabits} Mbit/s")
    return text.format(way=way, megabits=_megabits(rate))


def _megabits(rate: float) -> str:
    """Three digits are what such a number is worth."""
    number = 8 * rate / 1e6
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _reason(step: Transfer) -> str:
    if step.ended == "budget":
        return _("the daily byte quota was used up")
    if crowded(step):
        return _("this machine used the line for something else")
    if step.detail == "NO_NDT7":
        return _("the server does not speak ndt7 (HTTP {status})").format(status=step.status)
    if step.failure is not None and step.failure is not Failure.UNKNOWN:
        return _(FAILURES[step.failure])
    return step.detail or step.ended


def _obstacle(record: Record) -> str:
    for step in record.steps:
        if isinstance(step, Tls) and step.trust is not None and not step.trust.valid:
            why = _(TRUST[step.trust.reason]) if step.trust.reason else _("for an unknown reason")
            text = _("the certificate is not trusted ({why}); if its key is known: #pin={key}")
            return text.format(why=why, key=step.trust.leaf_key or "SHA256")
        if isinstance(step, Tcp | Tls) and step.failure is not None:
            failure = _(FAILURES[step.failure])
            return _("no connection to {address} ({failure})").format(
                address=step.address, failure=failure
            )
    return _("no answer")
