"""Rules on forms of a request: each where it matches and where it must not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Record, Role, Step
from tests.build import dns, page, record, tcp
from tests.probe.rules.check import holds, verdict_on

URL = "http://site.example/"
RESET = Failure.RESET


def asked(
    form: str,
    mine: Failure | None = None,
    other: Failure | None = None,
    times: int = 2,
    *,
    title: str = "The site",
    others: str = "Welcome",
) -> list[Step]:
    def one(failure: Failure | None, name: str, role: Role) -> Step:
        got = 0 if failure else 900
        made = page(URL, failure=failure, title=name, received_bytes=got, bytes_in=got)
        return replace(made, form=form, role=role)

    around = one(other, others, Role.HARMLESS)
    return [s for _ in range(times) for s in (around, one(mine, title, Role.TARGET), around)]


def made(*groups: list[Step]) -> Record:
    steps = (s for g in groups for s in g)
    return record(dns("93.184.216.34"), *steps, url=URL, experiment="request")


STOPPED = asked("default", RESET)
SOME, EVERY = "request.only_some_stopped", "request.every_one_stopped"
OTHER, ANY, ONCE = (
    "request.answered_otherwise",
    "request.stopped_for_any_name",
    "request.stopped_once",
)
COMPARED = "inconclusive 0.5 by request.compared"
TABLE = {
    "some": (SOME, made(STOPPED, asked("tab")), True, f"inconclusive 0.6 by {SOME}"),
    "passed once": (SOME, made(STOPPED, asked("tab", times=1)), False, COMPARED),
    "stopped once": (SOME, made(asked("default", RESET, times=1), asked("tab")), False, COMPARED),
    "stopped for the harmless name too": (
        SOME,
        made(asked("default", RESET, RESET), asked("tab")),
        False,
        COMPARED,
    ),
    "none": (SOME, made(asked("default"), asked("tab")), False, COMPARED),
    "every": (
        EVERY,
        made(STOPPED, asked("tab", RESET, times=1)),
        True,
        f"inconclusive 0.6 by {EVERY}",
    ),
    "every one that the server takes": (
        EVERY,
        made(STOPPED, asked("tab", RESET), asked("dot", RESET, RESET)),
        True,
        f"inconclusive 0.6 by {EVERY}",
    ),
    "in another way": (EVERY, made(STOPPED, asked("tab", RESET, RESET, 1)), False, COMPARED),
    "not every": (
        EVERY,
        made(STOPPED, asked("tab", RESET), asked("dot")),
        False,
        f"inconclusive 0.6 by {SOME}",
    ),
    "another page": (
        OTHER,
        made(asked("default", title="Blocked"), asked("tab")),
        True,
        f"inconclusive 0.6 by {OTHER}",
    ),
    "another page of a form that means something else": (
        OTHER,
        made(asked("default", title="Blocked"), asked("dot")),
        False,
        COMPARED,
    ),
    "a server that dislikes the form of any name": (
        OTHER,
        made(asked("default"), asked("tab", title="Bad request", others="Bad request")),
        False,
        COMPARED,
    ),
    "a page that changes": (
        OTHER,
        made(asked("default", times=1), asked("default", title="Next"), asked("tab", title="New")),
        False,
        COMPARED,
    ),
    "a form": (ANY, made(asked("default"), asked("tab", RESET, RESET)), True, COMPARED),
    "a dead server": (
        ANY,
        made(asked("default", RESET, RESET), asked("tab", RESET, RESET)),
        False,
        COMPARED,
    ),
    "one look": (
        ONCE,
        made(asked("default", RESET, times=1)[:2], asked("default", None, RESET, 1)[:1]),
        True,
        f"inconclusive 0.55 by {ONCE}",
    ),
    "one look, and the address does not connect": (
        ONCE,
        made(
            asked("default", RESET, times=1)[:2],
            [replace(tcp(failure=Failure.TIMEOUT), role=Role.HARMLESS)],
        ),
        True,
        f"inconclusive 0.55 by {ONCE}",
    ),
    "answered afterwards": (ONCE, made(STOPPED), False, COMPARED),
    "nothing": (
        "request.nothing_to_compare",
        made([]),
        True,
        "inconclusive 0.4 by request.nothing_to_compare",
    ),
}


@pytest.mark.parametrize(
    ("rule_id", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE)
)
def test_rule(rule_id: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule_id, seen) is expected
    assert verdict_on(seen) == verdict
