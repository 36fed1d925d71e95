"""Rules that compare forms of a plain http request; none accuses, and none says that a site works.

A form that fails tests the name only where the same form with a harmless name is answered, before
and after. A server may refuse odd forms itself, for this name too, so what passes is the evidence.
"""

from probe.analysis import request_forms
from probe.analysis.evidence import Evidence
from probe.analysis.request_forms import DEFAULT
from probe.model import Outcome, Role, Step
from probe.rule import Finding, Tier, rule

EXPERIMENTS = ("request",)

# What a filter looks at, if a request in this form passes it.
_KEYS = {
    "lower_case": "the spelling of the header",
    "upper_case": "the spelling of the header",
    "name_case": "the spelling of the name",
    "no_space": "the white space before the name",
    "space": "the white space before the name",
    "tab": "the white space before the name",
    "last": "the order of the headers",
    "second_segment": "the first segment alone",
    "split": "single segments",
    "dot": "what follows the name",
    "port": "what follows the name",
    "absolute": "the form of the request line",
    "head": "the method of the request",
    "root": "the path of the page",
}


def _keys(passing: list[str]) -> str:
    """What the filter looks at; a name in the second segment says more than a cut name."""
    telling = [one for one in passing if one != "split" or "second_segment" not in passing]
    return ", ".join(dict.fromkeys(_KEYS[one] for one in telling if one in _KEYS))


def _last(e: Evidence, forms: list[str]) -> tuple[Step, ...]:
    return tuple(s for one in forms for s in request_forms.offers(e.steps, one)[-1:])


def _confirmed(e: Evidence) -> bool:
    """What a browser sends was stopped for this name, several times."""
    stopped = request_forms.stopped(e.steps, DEFAULT)
    return sum(s.role is Role.TARGET for s in stopped) > 1


@rule("request.only_some_stopped", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def only_some_stopped(e: Evidence) -> Finding | None:
    """Requests for this name are stopped in some forms and pass in others."""
    passing = [f for f in request_forms.forms(e.steps) if request_forms.passes(e.steps, f)]
    if not passing or not _confirmed(e):
        return None
    reason = (
        "A request for this name is stopped as browsers write it, and passes in other forms"
        f" ({', '.join(passing)}): the filter looks at {_keys(passing)}."
    )
    return Finding(_last(e, [DEFAULT, *passing]), 0.6, reason=reason)


@rule("request.every_one_stopped", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def every_one_stopped(e: Evidence) -> Finding | None:
    """Requests for this name are stopped in every form: the filter reads them as a server does."""
    sent = request_forms.forms(e.steps)
    stopped = [f for f in sent if request_forms.stopped(e.steps, f)]
    usable = [f for f in sent if not request_forms.unanswered(e.steps, f)]
    if len(stopped) < 2 or len(stopped) < len(usable) or not _confirmed(e):
        return None
    return Finding(_last(e, stopped), 0.6)


@rule("request.stopped_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def stopped_once(e: Evidence) -> Finding | None:
    """A request for this name was stopped, and then the address answered a harmless one no longer.

    A middlebox that blocks the address after one request allows no comparison of forms.
    """
    steps = request_forms.stopped_and_then_silent(e.steps)
    return Finding(steps, 0.55) if steps else None


@rule("request.answered_otherwise", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def answered_otherwise(e: Evidence) -> Finding | None:
    """Another page answers this name in another form of the request that means the same."""
    alike = {f: request_forms.answers_alike(e.steps, f) for f in request_forms.forms(e.steps)}
    other = [f for f, same in alike.items() if same is False and request_forms.passes(e.steps, f)]
    if not other or not request_forms.passes(e.steps, DEFAULT):
        return None
    reason = (
        "Another page answers this name in other forms of the request"
        f" ({', '.join(other)}): something that answers looks at {_keys(other)}."
    )
    return Finding(_last(e, [DEFAULT, *other]), 0.6, reason=reason)


@rule("request.stopped_for_any_name", Tier.NOTE, None)
def stopped_for_any_name(e: Evidence) -> Finding | None:
    """Requests of some form get no answer with any name; a browser's are answered."""
    silent = [f for f in request_forms.forms(e.steps) if request_forms.unanswered(e.steps, f)]
    if not silent or DEFAULT in silent:
        return None
    reason = f"Requests in these forms get no answer here with any name: {', '.join(silent)}."
    return Finding(_last(e, silent), 0.0, reason=reason)


@rule("request.compared", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def compared(e: Evidence) -> Finding | None:
    """Forms of a request were compared; `web` judges whether the site is blocked."""
    return Finding(e.steps[-1:], 0.5) if request_forms.forms(e.steps) else None


@rule("request.nothing_to_compare", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_to_compare(e: Evidence) -> Finding | None:
    """No request was sent: there is no address, or no name to compare."""
    return None if request_forms.forms(e.steps) else Finding(e.steps[-1:], 0.4)
