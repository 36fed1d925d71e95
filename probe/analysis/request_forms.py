"""Which ways to write a plain http request are stopped for this name, and which pass.

Pure, from the steps of `request`: each form was sent with the target's name between two requests of
the same form with a harmless name. The results accuse no network: a form that passes shows what a
filter looks for, and a server may itself refuse odd requests.
"""

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import TypeAlias

from probe.compare import same_failure
from probe.failure import Failure
from probe.model import Http, Role, Step, Tcp

DEFAULT = "default"
STOPPED = frozenset({Failure.TIMEOUT, Failure.RESET, Failure.ABORTED, Failure.EOF})
# By RFC 9110 and RFC 9112 these mean what the default means, so no server answers otherwise.
_EQUAL = frozenset(
    {"lower_case", "upper_case", "no_space", "space", "tab", "last", "second_segment", "split"}
)
_Answer: TypeAlias = tuple[int | None, str | None, str | None]


def forms(steps: Sequence[Step]) -> tuple[str, ...]:
    """Every form that was sent with the target's name, in order."""
    return tuple(dict.fromkeys(s.form for s in _sent(steps, Role.TARGET)))


def offers(steps: Sequence[Step], form: str) -> list[Http]:
    """The requests of one form with the target's name."""
    return [s for s in _sent(steps, Role.TARGET) if s.form == form]


def answered(step: Http) -> bool:
    """A whole HTTP response came, whatever its status."""
    return step.failure is None and step.status is not None and not step.malformed


def stopped(steps: Sequence[Step], form: str) -> tuple[Http, ...]:
    """The requests that got no byte, and the answered harmless ones around each; () if not so."""
    mine = offers(steps, form)
    if not mine or any(s.failure not in STOPPED or s.bytes_in for s in mine):
        return ()
    if not all(same_failure(s.failure, mine[0].failure) for s in mine):
        return ()
    alike = [s for s in _sent(steps, Role.HARMLESS) if s.form == form]
    alike.sort(key=attrgetter("at"))
    around = [_around(alike, s) for s in mine]
    return (*mine, *(s for both in around for s in both)) if all(around) else ()


def stopped_and_then_silent(steps: Sequence[Step]) -> tuple[Step, ...]:
    """A stopped request after an answered harmless one, and the next harmless one failed."""
    asked = [s for s in steps if s.role in {Role.TARGET, Role.HARMLESS}]
    looks = [s for s in asked if isinstance(s, Http) or (isinstance(s, Tcp) and s.failure)]
    for before, mine, after in zip(looks, looks[1:], looks[2:], strict=False):
        roles = (before.role, mine.role, after.role)
        if roles != (Role.HARMLESS, Role.TARGET, Role.HARMLESS) or not isinstance(mine, Http):
            continue
        fine = isinstance(before, Http) and answered(before) and before.form == mine.form == DEFAULT
        if fine and not mine.bytes_in and {mine.failure, after.failure} <= STOPPED:
            return before, mine, after
    return ()


def passes(steps: Sequence[Step], form: str) -> bool:
    """Each of several requests of this form with the target's name was answered."""
    mine = offers(steps, form)
    return len(mine) > 1 and all(map(answered, mine))


def unanswered(steps: Sequence[Step], form: str) -> bool:
    """Requests of this form get no answer with any name."""
    sent = [s for role in (Role.TARGET, Role.HARMLESS) for s in _sent(steps, role)]
    same = [s for s in sent if s.form == form]
    return len(same) > 2 and not any(s.bytes_in for s in same)


def answers_alike(steps: Sequence[Step], form: str) -> bool | None:
    """Whether a form is answered as the default is, where no server would make a difference.

    None: not to be said, also where a harmless name is answered by the form in another way too.
    """
    usual, mine = offers(steps, DEFAULT), offers(steps, form)
    if form not in _EQUAL or not usual or not mine or not all(map(answered, (*usual, *mine))):
        return None
    here, there = {_answer(s) for s in mine}, {_answer(s) for s in usual}
    harmless = [s for s in _sent(steps, Role.HARMLESS) if s.form in {form, DEFAULT}]
    if len(here) > 1 or len(there) > 1 or len({_answer(s) for s in harmless}) != 1:
        return None
    return here == there


def to_repeat(steps: Sequence[Step]) -> tuple[str, ...]:
    """The default and the forms that met something else, if it can be filtered; else nothing."""
    usual = bool(stopped(steps, DEFAULT))
    unlike = [
        form
        for form in forms(steps)
        if (usual and any(map(answered, offers(steps, form))))
        or answers_alike(steps, form) is False
    ]
    return (DEFAULT, *unlike) if usual or unlike else ()


def _sent(steps: Sequence[Step], role: Role) -> list[Http]:
    return [s for s in steps if isinstance(s, Http) and s.role is role]


def _answer(step: Http) -> _Answer:
    return step.status, step.title, step.location


def _around(alike: Sequence[Http], step: Http) -> tuple[Http, ...]:
    """Of harmless requests in order of time, the last before and the first after, if answered."""
    later = bisect_right(alike, step.at, key=attrgetter("at"))
    both = (*alike[max(later - 1, 0) : later], *alike[later : later + 1])
    return both if len(both) == 2 and all(map(answered, both)) else ()
