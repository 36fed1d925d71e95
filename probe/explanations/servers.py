"""Innocent explanations of a failure that only the site's own server shows.

A server, or a filter of requests in front of it, may turn away one name for one client alone: the
control is let in, and a harmless name is answered at the same address. An unrelated server that is
offered the same name has no reason to do so, and what is on the way to it does not differ.
"""

from probe.analysis.evidence import Evidence
from probe.model import Http, Step, Tls
from probe.rule import Match
from probe.rules import http, tls


def turns_away_this_client(e: Evidence, match: Match) -> str | None:
    """No unrelated server answers the name, or packets are stopped on the way to this one."""
    return ALONE if any(_answered_elsewhere(e, step) for step in match.on_target(e)) else None


def _answered_elsewhere(e: Evidence, step: Step) -> bool:
    """The name failed here and not at an unrelated server; an https request has passed it."""
    if isinstance(step, Tls) and step.failure in tls.MECHANISMS:
        answers = tls.at_unrelated_server(e, step)[0] is False
        return answers and not tls.stopped_on_the_way(e, step)
    if isinstance(step, Http) and step.url.startswith("http:") and _is_unanswered(step):
        return http.at_unrelated_server(e, step)[0] is False
    return False


def _is_unanswered(page: Http) -> bool:
    nothing = page.status is None and not page.received_bytes
    return nothing and page.failure in http.MECHANISMS


# The reason where the failure belongs to one address.
ALONE = (
    "An unrelated server, offered the same name, answers it: the site's own server may turn away"
    " this name for this client."
)
