"""Every parameter of every route: unknown, repeated, out of range, or not to be stored."""

import asyncio
import re
import zlib
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from collector.api import app, parameters
from collector.api.parameters import Instant, Parameters
from collector.api.routes import Route
from collector.settings import Address
from collector.store.interface import Execute, Operation
from tests.collector.harness import CollectorHarness, collector, record, select

HOSTILE = (
    "",
    "\0",
    "a\0b",
    "\x1f",
    "\x7f",
    "-1",
    "0",
    "1e999",
    "nan",
    "inf",
    "9" * 400,
    "x" * 3000,
    "2300-01-01",
    "0001-01-01",
    "9999-12-31T23:59:59.999999+00:00",
    "2026-11-21T00:00:00+99:99",
    "KZ\n",
    "AS",
    "AS99999999999",
    "\u0661",
    "ok\n",
    "\ud800",
    "' OR 1=1 --",
    "null",
    "None",
    "true",
)
ROUTES = tuple(route for route in (*app.ROUTES, *app.HEALTH, app.METRICS) if route.method == "GET")
READING = tuple(route for route in ROUTES if route.path != "/v1/recheck")


def test_an_unknown_parameter_is_a_400_that_lists_the_known_ones(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            for route in (*app.ROUTES, *app.HEALTH, app.METRICS):
                reply = await harness.ask(route.method, f"{_path(route)}?tagret=x")
                error = reply.data["error"]
                assert reply.status == 400, route
                assert error.startswith("tagret: unknown"), route
                names = route.parameters.__struct_fields__
                assert all(name in error for name in names), route
                assert names or "no parameters" in error, route

    asyncio.run(scenario())


def test_the_operators_listener_takes_no_unknown_parameter_either(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            collector(tmp_path, admin=Address("127.0.0.1", 0)) as harness,
            aiohttp.ClientSession() as session,
        ):
            for route in app.OPERATOR:
                url = f"{harness.running.admin}{route.path}?tagret=x"
                async with session.request(route.method, url) as reply:
                    assert reply.status == 400, route
                    assert (await reply.json())["error"].startswith("tagret: unknown"), route

    asyncio.run(scenario())


def test_no_value_of_any_parameter_is_an_error_of_the_collector(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record())
            for route in READING:
                names = parameters.descriptions(route.parameters)
                # An export is a process each; its other parameters are those of the pages.
                for name in ("format",) if route.path == "/v1/export" else names:
                    for value in HOSTILE:
                        await _ask_with(harness, route, name, value)
            assert (await harness.ask("GET", "/readyz")).status == 200

    asyncio.run(scenario())


async def _ask_with(harness: CollectorHarness, route: Route, name: str, value: str) -> None:
    sent = quote(value.encode("utf-8", "surrogatepass"))
    reply = await harness.ask("GET", f"{_path(route)}?{name}={sent}")
    assert reply.status in {200, 400, 404}, (route.path, name, value, reply.body)
    if reply.status == 400:
        error = reply.data["error"]
        assert error.startswith(f"{name}: "), (route.path, error)
        assert error.isprintable(), (route.path, error)


@pytest.mark.parametrize("path", ["/v1/measurements/%00", "/v1/certificates/%00.pem", "/%00"])
def test_a_path_with_a_nul_is_a_404(tmp_path: Path, path: str) -> None:
    async def scenario() -> int:
        async with collector(tmp_path) as harness:
            return (await harness.ask("GET", path)).status

    assert asyncio.run(scenario()) == 404


def test_a_word_for_nothing_does_not_select_everything(tmp_path: Path) -> None:
    """A script whose variable is empty must not get all rows for the few that it wants."""

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            for route in READING:
                for name, expected in parameters.descriptions(route.parameters).items():
                    # A form sends what is left empty; there it says that nothing was given.
                    empty = () if route.parameters.empty_is_none else ("",)
                    for value in (*empty, "null"):
                        reply = await harness.ask("GET", f"{_path(route)}?{name}={value}")
                        if value == "null" and expected.startswith(("text", "any number of")):
                            assert reply.status in {200, 400, 404}, (route.path, name)
                        else:
                            assert reply.status == 400, (route.path, name, value)
                            assert reply.data["error"].startswith(f"{name}: "), route.path

    asyncio.run(scenario())


def test_a_parameter_given_twice_is_a_400(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            reply = await harness.ask("GET", "/v1/measurements?target=a&target=b")
            assert (reply.status, reply.data["error"][:7]) == (400, "target:")
            assert (await harness.ask("GET", "/v1/control?input=a&input=b")).status == 200

    asyncio.run(scenario())


def test_a_failed_read_does_not_make_the_collector_unready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            with monkeypatch.context() as patch:
                patch.setattr("collector.store.sqlite.READ_SECONDS", -1.0)
                patch.setattr("collector.store.sqlite._STEPS", 1)
                assert (await harness.ask("GET", "/v1/measurements")).status == 503
                assert not harness.service.store.unhealthy
            assert (await harness.ask("GET", "/readyz")).status == 200

    asyncio.run(scenario())


def _damage(body: bytes) -> Operation[None]:
    rows = yield from select("measurement_seqs_all")
    yield Execute("raw_set", [{"seq": rows[0][0], "raw": body}])


@pytest.mark.parametrize(
    ("body", "readable"),
    [
        (zlib.compress(b'{"id":"x","field_of_tomorrow":1}'), True),
        (zlib.compress(b"{"), False),
        (zlib.compress(b"[1]"), False),
        (b"no zlib", False),
    ],
)
def test_a_stored_record_that_is_not_readable_is_skipped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, *, readable: bool
) -> None:
    from collector.store import sqlite
    from collector.store.interface import statements

    added = {
        "measurement_seqs_all": "SELECT seq FROM measurement ORDER BY seq",
        "raw_set": "UPDATE raw SET body = :raw WHERE seq = :seq",
    }
    monkeypatch.setattr(sqlite, "statements", lambda: {**statements(), **added})

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            first, second = record(), record()
            sender = await harness.probe()
            await sender.send(first)
            await sender.send(second)
            await harness.service.store.write(_damage(body))
            export = await harness.ask("GET", "/v1/export")
            assert export.status == 200
            lines = export.body.splitlines()
            assert len(lines) == (2 if readable else 1)
            assert second.id.encode() in lines[-1]
            one = await harness.ask("GET", f"/v1/measurements/{first.id}")
            assert one.status == 200
            assert (one.data["record"] is not None) == readable
            assert one.data["judged"]["outcome"] == "ok"
            for path in ("/v1/measurements", "/v1/verdicts", "/v1/events", "/", "/v1/control"):
                assert (await harness.ask("GET", path)).status == 200
            counted = (await harness.metrics())["qazcollector_unreadable_total"]
            assert counted == (0.0 if readable else 2.0)
            assert (await harness.ask("GET", "/readyz")).status == 200

    asyncio.run(scenario())


def test_an_instant_is_a_day_or_has_a_time_zone() -> None:
    from multidict import MultiDict

    class Since(Parameters, frozen=True, kw_only=True):
        since: Instant | None = None

    for text, at in (("1970-01-02", 86400.0), ("1970-01-01T01:00:00+01:00", 0.0)):
        assert parameters.parse(MultiDict({"since": text}), Since).since == at


def _path(route: Route) -> str:
    return re.sub(r"\{\w+\}", "nosuch", route.path)
