"""Innocent explanations of a failure that only the site's own server shows.

A server, or a filter of requests in front of it, may turn away one name for one client alone: the
control is let in, and a harmless name is answered at the same address. An unrelated server that is
offered the same name has no reason to do so, and what is on the way to it does not differ.
"""

from probe.analysis.evidence import Evidence
from probe.compare import is_unanswered, same_failure
from probe.model import Http, Step, Tcp, Tls
from probe.rule import Match
from probe.rules import http, tls


def turns_away_this_client(e: Evidence, match: Match) -> str | None:
    """No unrelated server answers the name, or packets are stopped on the way to this one."""
    for step in match.on_target(e):
        if _answered_elsewhere(e, step):
            return UNWELCOME if _fails_for_every_name(e, step) else ALONE
    return None


def _answered_elsewhere(e: Evidence, step: Step) -> bool:
    """The name failed here, and not at an unrelated server."""
    if isinstance(step, Tls) and step.failure in tls.MECHANISMS:
        answers = tls.at_unrelated_server(e, step)[0] is False
        return answers and not tls.stopped_on_the_way(e, step)
    if isinstance(step, Http) and step.failure in http.MECHANISMS and is_unanswered(step):
        return http.at_unrelated_server(e, step)[0] is False
    return False


def _fails_for_every_name(e: Evidence, step: Step) -> bool:
    """The harmless name fails at this address as well, each time in the same way."""
    if not isinstance(step, Tls):
        return False
    here = [s for s in e.harmless(Tls) if s.address == step.address]
    return bool(here) and all(same_failure(s.failure, step.failure) for s in here)


def bans_this_client(e: Evidence, match: Match) -> str | None:
    """Where the address answers nothing since, an unrelated server fails for the name as well."""
    for step in match.on_target(e):
        if not isinstance(step, Tls) or step.failure not in tls.MECHANISMS:
            continue
        known = tls.at_unrelated_server(e, step)[0] or tls.stopped_on_the_way(e, step)
        if not known and any(isinstance(s, Tcp) for s in tls.punished_since(e, step)):
            return BANNED
    return None


# The reason where the address stopped answering.
BANNED = (
    "The address answers nothing since this name was offered to it: the site's own filter may have"
    " banned this client for a while."
)
# The reason where the failure belongs to one address.
ALONE = (
    "An unrelated server, offered the same name, answers it: the site's own server may turn away"
    " this name for this client."
)
# The reason where it fails for every name.
UNWELCOME = (
    "Every name fails at this address once it is connected, and an unrelated server answers: the"
    " site's own server may turn away this client."
)
