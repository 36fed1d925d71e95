"""Which requests `request` sends, and what follows from the answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from probe.experiments import request
from probe.experiments.interface import Task
from probe.experiments.operations import HttpRequest, RequestForm
from probe.failure import Failure
from probe.judge import judge
from probe.model import Http, Outcome, Role, Steps, Verdict
from tests.build import GOOD, HARMLESS, HOST, record
from tests.fake_net import FakeNet

URL = f"http://{HOST}/page"
TASK = Task(URL, seed=0, harmless=(HARMLESS,))
Fate = Callable[[str, RequestForm], Failure | None]


@dataclass
class Forms(FakeNet):
    """The failure of each (name, form)."""

    fate: Fate = field(default=lambda _name, _form: None)
    sent: list[HttpRequest] = field(default_factory=list)

    async def http(self, request: HttpRequest) -> Steps:
        self.sent.append(request)
        steps = await super().http(request)
        last = steps[-1]
        if not isinstance(last, Http):
            return steps
        failure = self.fate(last.host, request.form)
        last = replace(last, form=request.form)
        if failure is not None:
            last = replace(last, failure=failure, status=None, bytes_in=0, received_bytes=0)
        return (*steps[:-1], last)


def measured(fate: Fate, task: Task = TASK) -> tuple[Steps, list[HttpRequest]]:
    net = Forms(names={("system", HOST): (GOOD,)}, fate=fate)

    async def run() -> Steps:
        steps = await request.measure(task, net)
        wanted = request.needs_confirmation(task, steps)
        return await request.confirm(task, net, steps) if wanted else steps

    return asyncio.run(run()), net.sent


def verdict(steps: Steps) -> Verdict:
    return judge(replace(record(url=URL, experiment="request"), steps=steps))


def test_each_form_is_sent_between_harmless_ones() -> None:
    steps, sent = measured(lambda _n, _f: None)
    pages = [s for s in steps if isinstance(s, Http)]
    assert [s.host for s in pages] == [HARMLESS, HOST, HARMLESS] * len(request.FORMS)
    assert tuple(s.form for s in pages[::3]) == request.FORMS
    assert {one.path for one in sent if one.form == "root"} == {"/"}
    assert {one.path for one in sent if one.form != "root"} == {None}
    found = verdict(steps)
    assert (found.outcome, found.mechanisms) == (Outcome.INCONCLUSIVE, ())
    assert [hit.id for hit in found.rules] == ["request.compared"]


@pytest.mark.parametrize("url", [f"http://{HOST}/", f"https://{HOST}/"])
def test_a_front_page_has_no_other_path_and_is_asked_over_plain_http(url: str) -> None:
    _, sent = measured(lambda _n, _f: None, replace(TASK, url=url))
    assert "root" not in {one.form for one in sent}
    assert {one.url for one in sent} == {f"http://{HOST}/"}


def test_forms_that_pass_are_sent_again_and_told() -> None:
    passing = {"lower_case", "second_segment", "split"}

    def fate(name: str, form: RequestForm) -> Failure | None:
        return Failure.TIMEOUT if name == HOST and form not in passing else None

    steps, _ = measured(fate)
    again = [s.form for s in steps if isinstance(s, Http) and s.try_ == 2 and s.host == HOST]
    assert again == ["split", "second_segment", "lower_case", "default"]
    found = verdict(steps)
    assert (found.outcome, found.rules[0].id) == (
        Outcome.INCONCLUSIVE,
        "request.only_some_stopped",
    )
    assert found.rules[0].reason.endswith(
        "(lower_case, second_segment, split): the filter looks at the spelling of the header, the"
        " first segment alone."
    )


def test_a_form_that_the_server_takes_for_no_name_does_not_end_the_comparison() -> None:
    steps, _ = measured(lambda _, form: Failure.RESET if form == "tab" else None)
    sent = {s.form for s in steps if isinstance(s, Http) and s.role is Role.TARGET}
    assert sent == set(request.FORMS)
    assert {hit.id for hit in verdict(steps).rules} == {
        "request.compared",
        "request.stopped_for_any_name",
    }


def test_an_address_that_is_blocked_after_one_request_is_left_alone() -> None:
    offered = []

    def fate(name: str, _: RequestForm) -> Failure | None:
        offered.append(name)
        return Failure.TIMEOUT if HOST in offered else None

    steps, sent = measured(fate)
    assert [one.form for one in sent] == ["default"] * 4
    found = verdict(steps)
    assert (found.outcome, found.rules[0].id) == (Outcome.INCONCLUSIVE, "request.stopped_once")


def test_nothing_is_sent_for_an_address_or_without_harmless_names() -> None:
    for task in (replace(TASK, url=f"http://{GOOD}/"), replace(TASK, harmless=())):
        steps, sent = measured(lambda _n, _f: None, task)
        assert (steps, sent) == ((), [])
        assert verdict(steps).rules[0].id == "request.nothing_to_compare"
