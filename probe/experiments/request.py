"""Write one plain http request in several ways, between harmless names, to see what a filter reads.

A filter may look for `Host: name` byte for byte, in the first segment only, or in a GET only. Each
form is sent with a harmless name, the target's, and the harmless one again, at the site's own
address: first what a browser sends, then forms that differ from it in one thing. Where the address
answers the harmless name no longer, the steps end: it is blocked for a while, or dead. What the
forms show never accuses; `web` judges the site.
"""

from collections.abc import Sequence
from typing import get_args
from urllib.parse import urlsplit

from probe.analysis import request_forms
from probe.compare import is_address
from probe.experiments.browse import UrlHop, measure_reference, resolve
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.interleave import Offer, offer_in_forms
from probe.experiments.operations import HttpRequest, RequestForm
from probe.experiments.step_log import StepLog
from probe.model import Role, Steps

FORMS: tuple[RequestForm, ...] = get_args(RequestForm)


async def measure(task: Task, net: Net) -> Steps:
    """Every form once, the target's name between two harmless ones."""
    log = StepLog()
    hop = UrlHop(task.url)
    if is_address(hop.host) or not task.harmless:
        return log.steps
    resolved = await resolve(task, net, log, hop, try_=1)
    has_path = urlsplit(hop.url).path not in {"", "/"}
    forms: list[RequestForm] = [form for form in FORMS if form != "root" or has_path]
    address = next((a for a in resolved if net.safe(a)), None)
    if address is not None:
        await _offer_in(forms, task, net, log, address=address, try_=1)
    return log.steps


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Whether the name is stopped, or answered otherwise by a form that means the same."""
    return bool(request_forms.to_repeat(steps))


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """The forms that tell something once more, in reverse order, between reference measurements."""
    log = StepLog(seen)
    wanted = request_forms.to_repeat(seen)
    again: list[RequestForm] = [one for one in reversed(FORMS) if one in wanted]
    address = request_forms.offers(seen, request_forms.DEFAULT)[0].address
    await measure_reference(net, log, task.reference)
    await _offer_in(again, task, net, log, address=address, try_=2)
    await measure_reference(net, log, task.reference)
    return log.steps


async def _offer_in(
    forms: Sequence[RequestForm], task: Task, net: Net, log: StepLog, *, address: str, try_: int
) -> None:
    """The target's name between harmless ones in each form."""
    await offer_in_forms(
        forms,
        lambda form: _offer_at(task, net, log, address, form),
        usual="default",
        target=UrlHop(task.url).host,
        harmless=task.harmless_name,
        try_=try_,
    )


def _offer_at(task: Task, net: Net, log: StepLog, address: str, form: RequestForm) -> Offer:
    """Offers a name in one plain request, at port 80 for an https URL."""
    url = task.url.partition("#")[0]
    if url.startswith("https:"):
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        url = f"http://{UrlHop(url).host}{parts.path or '/'}{query}"

    async def offer(name: str, role: Role, try_: int) -> Steps:
        host = name if role is Role.HARMLESS else None
        path = "/" if form == "root" else None
        request = HttpRequest(url, address, form=form, host=host, path=path)
        return log.chain(await net.http(request), role=role, try_=try_)

    return offer


EXPERIMENT = Experiment("request", 1, measure, confirm, needs_confirmation)
