"""The operator's pages: how the collector is, its keys, and what is set aside.

Rule: they are on the operator's listener only, for bearers of the operator's token.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from msgspec import Meta

from collector.admin import key_list, overview, setting_aside
from collector.admin.key_list import KeyOverview
from collector.admin.overview import SetAside
from collector.api import operator_access, operator_state, parameters
from collector.api.http import Refused
from collector.api.operator import MAIN_LOOP
from collector.api.parameters import Parameters
from collector.record_row import instant
from collector.service import SERVICE
from collector.store import Operation
from collector.web import rendering
from probe import __version__

# All keys of a large store are looked at, in a reader of their own.
SECONDS = 30.0
# Moving the counts of a key with many records takes longer; it goes on without the page.
MOVE_SECONDS = 10.0
KEYS = 300
FORM_BYTES = 16 * 1024
Name = Annotated[
    str, Meta(max_length=64, pattern=r"^[0-9A-Za-z]*\Z", description="a key or branch")
]


class KeysParameters(Parameters, frozen=True, kw_only=True):
    """Which keys are shown: those of a name, or only those that stray."""

    find: Name = ""
    straying: Literal["yes", "no"] = "no"
    underway: Literal["yes", "no"] = "no"


async def get_admin(request: web.Request) -> web.Response:
    """How the collector is, and what needs its operator."""
    operator_access.check(request)
    service = request.app[SERVICE]

    async def read() -> dict[str, object]:
        every = await service.store.read(key_list.overview(service.clock()), slow=True)
        return {
            "groups": operator_state.groups(service),
            "troubles": operator_state.troubles(service),
            "straying": sum(one.strays for one in every),
            "exclusions": await service.store.read(overview.set_aside(), slow=True),
            "doubted": await service.store.read(overview.doubted(), slow=True),
            "claims": await service.store.read(overview.contradicted(), slow=True),
            "among": overview.AMONG,
        }

    return await _page(request, "collector.html", **await request.app[MAIN_LOOP].ask(read, SECONDS))


async def get_keys(request: web.Request) -> web.Response:
    """The keys, those that stray first."""
    operator_access.check(request)
    service, asked = request.app[SERVICE], parameters.of(request, KeysParameters)

    async def read() -> tuple[Sequence[KeyOverview], SetAside | None, bool]:
        every = await service.store.read(key_list.overview(service.clock()), slow=True)
        return (every, *(await service.store.read(_known(asked.find), slow=True)))

    every, exclusion, known = await request.app[MAIN_LOOP].ask(read, SECONDS)
    rows = [
        one
        for one in every
        if (one.strays or asked.straying == "no") and _is_named(one, asked.find)
    ]
    return await _page(
        request,
        "keys.html",
        rows=rows[:KEYS],
        shown=min(len(rows), KEYS),
        total=len(every),
        find=asked.find,
        straying=asked.straying == "yes",
        underway=asked.underway == "yes",
        known=known,
        exclusion=exclusion,
        proof=operator_access.proof(request),
    )


def _known(find: str) -> Operation[tuple[SetAside | None, bool]]:
    """What was set aside by this name, and whether it stands for anything."""
    if not find:
        return None, False
    found = [one for one in (yield from overview.set_aside()) if one.subject == find]
    return (found[0] if found else None), (yield from overview.is_known(find))


def _is_named(one: KeyOverview, find: str) -> bool:
    return one.standing.key_id.startswith(find) or one.standing.branch == find


async def post_exclude(request: web.Request) -> web.Response:
    """Set aside what a key, or every key of a branch, measured."""
    form = await _form(request, "subject", "since", "reason")
    service = request.app[SERVICE]
    reason = setting_aside.reason_of(form["reason"])
    if reason is None:
        limit = setting_aside.REASON_LIMIT
        raise Refused(400, "malformed", f"reason: 1 to {limit} printable characters expected")
    since = instant(f"{form['since']}T00:00:00Z") if form["since"] else 0.0
    if since is None:
        raise Refused(400, "malformed", "since: a day such as 2026-11-21 expected")
    at = service.clock()

    async def work() -> object:
        return await setting_aside.set_aside(
            service.store, form["subject"], since=since, reason=reason, at=at
        )

    return await _move(request, form["subject"], work, "no key and no branch has this name")


async def post_include(request: web.Request) -> web.Response:
    """Count again what was set aside."""
    form = await _form(request, "subject")
    store = request.app[SERVICE].store

    async def work() -> object:
        return await setting_aside.take_back(store, form["subject"])

    return await _move(request, form["subject"], work, "nothing of it is set aside")


async def _move(
    request: web.Request, subject: str, work: Callable[[], Awaitable[object]], otherwise: str
) -> web.Response:
    """Move counts, and show the key; what takes long goes on meanwhile."""
    service = request.app[SERVICE]

    async def move() -> object:
        try:
            return await work()
        finally:
            service.snapshots.touch()
            service.monitor.touch()

    where = {"find": subject}
    try:
        if await request.app[MAIN_LOOP].begin(move, MOVE_SECONDS) is None:
            raise Refused(404, "unknown", otherwise)
    except TimeoutError:
        where["underway"] = "yes"
    return web.Response(status=303, headers={"Location": f"/admin/keys?{urlencode(where)}"})


async def _form(request: web.Request, *names: str) -> dict[str, str]:
    """The fields of a form of this collector's; those that are not there are empty.

    Raises:
        Refused: It is no such form.
    """
    operator_access.check(request)
    body = await request.content.read(FORM_BYTES + 1)
    while len(body) <= FORM_BYTES and not request.content.at_eof():
        body += await request.content.read(FORM_BYTES + 1 - len(body))
    if len(body) > FORM_BYTES:
        raise Refused(413, "too_large", f"form of at most {FORM_BYTES} bytes expected")
    fields = dict(parse_qsl(body.decode("utf-8", "replace")))
    operator_access.check_form(request, fields.get("proof", ""))
    return {name: fields.get(name, "").strip() for name in names}


async def _page(request: web.Request, template: str, **values: object) -> web.Response:
    service = request.app[SERVICE]
    text = await asyncio.to_thread(
        rendering.render,
        template,
        "en",
        **values,
        now=service.clock(),
        collector_id=service.store.collector_id,
        version=__version__,
        lab=service.settings.lab,
    )
    headers = rendering.headers()
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)
