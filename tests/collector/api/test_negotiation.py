"""How lists are given: format, compression, ETag, HEAD, and to which web pages."""

import asyncio
import csv
import gzip
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from collector.admin.export_packing import zstd
from collector.api import app, negotiation
from collector.api.routes import Route
from tests.collector.harness import CollectorHarness, collector, now as text_of, record

SECRET = "0123456789abcdef0123"
OPEN = tuple(route for route in app.ROUTES if route.access == "open")
LISTS = tuple(route for route in OPEN if "text/csv" in route.media and route.reply is not None)


@dataclass
class Raw:
    """A response as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def raw(
    harness: CollectorHarness, method: str, path: str, headers: Mapping[str, str] | None = None
) -> Raw:
    """Ask with these headers only, and take the body as it is."""
    skipped = ("Accept-Encoding", "Accept", "User-Agent")
    async with (
        aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=skipped) as session,
        session.request(method, harness.url + path, headers=headers) as reply,
    ):
        return Raw(reply.status, reply.headers, await reply.read())


def path_of(route: Route) -> str:
    return re.sub(r"\{\w+\}", "nosuch", route.path)


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("text/csv;q=0.5, application/json", "json"),
        ("text/csv, application/json;q=0.5", "csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        ("text/csv;q=0", "json"),
        ("TEXT/CSV ; Q=1", "csv"),
        ("text/csv;q=x", "json"),
    ],
)
def test_the_format_that_a_client_accepts(header: str, chosen: str) -> None:
    request = make_mocked_request("GET", "/", headers={"Accept": header})
    assert negotiation.chosen(request, None, ("json", "csv")) == chosen
    assert negotiation.chosen(request, "json", ("json", "csv")) == "json"


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("br", None),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=0.5, identity;q=0.8", None),
        ("gzip;q=0", None),
    ],
)
def test_the_compression_that_a_client_accepts(header: str, coding: str | None) -> None:
    request = make_mocked_request("GET", "/", headers={"Accept-Encoding": header})
    assert negotiation.coding(request) == coding


def test_every_list_has_both_formats_an_etag_and_head(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record())
            for route in LISTS:
                path = path_of(route)
                for format_ in ("json", "csv"):
                    asked = f"{path}?format={format_}"
                    found = await raw(harness, "GET", asked)
                    assert found.headers["Content-Type"].startswith(negotiation.MEDIA[format_])
                    if format_ == "csv":
                        head = next(csv.reader(io.StringIO(found.body.decode())))
                        assert len(head) == len(set(head)), path
                    # As everybody sends it back who knows no weak tags.
                    etag = found.headers["ETag"]
                    for known in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
                        again = await raw(harness, "GET", asked, {"If-None-Match": known})
                        assert (again.status, again.body) == (304, b""), (path, known)
                        assert again.headers["ETag"] == etag
                    other = await raw(harness, "GET", asked, {"If-None-Match": '"x"'})
                    assert other.status == 200
                    bare = await raw(harness, "HEAD", asked)
                    assert (bare.status, bare.body) == (200, b"")
                    assert bare.headers["ETag"] == etag
                    assert bare.headers["Content-Length"] == str(len(found.body))

    asyncio.run(scenario())


def test_another_write_gives_another_etag(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            await sender.send(record())
            for path in ("/v1/measurements", "/v1/verdicts", "/v1/hourly"):
                first = (await raw(harness, "GET", path)).headers["ETag"]
                await sender.send(record())
                await (await harness.probe()).send(record())
                changed = await raw(harness, "GET", path, {"If-None-Match": first})
                assert changed.status == 200, path

    asyncio.run(scenario())


def test_large_lists_are_compressed_as_the_client_wants(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(*(record() for _ in range(10)))
            plain = await raw(harness, "GET", "/v1/measurements")
            assert "Content-Encoding" not in plain.headers
            for coding, unpack in (("gzip", gzip.decompress), ("zstd", zstd().decompress)):
                packed = await raw(harness, "GET", "/v1/measurements", {"Accept-Encoding": coding})
                assert packed.headers["Content-Encoding"] == coding
                assert "Accept-Encoding" in packed.headers["Vary"]
                assert unpack(packed.body) == plain.body
                assert packed.headers["ETag"] == plain.headers["ETag"]
                assert len(packed.body) < len(plain.body) / 2

    asyncio.run(scenario())


def test_any_web_page_may_read_what_is_the_same_for_all(tmp_path: Path) -> None:
    page = {"Origin": "https://example.org"}

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            for route in (*app.ROUTES, *app.HEALTH, app.METRICS):
                if route.method != "GET" or route.path == "/v1/export":
                    continue
                for query in ("", "?tagret=1"):
                    reply = await raw(harness, "GET", path_of(route) + query, page)
                    shared = reply.headers.get("Access-Control-Allow-Origin")
                    assert shared == ("*" if route.access == "open" else None), route.path
                    assert "Access-Control-Allow-Credentials" not in reply.headers
            asked = {**page, "Access-Control-Request-Method": "GET"}
            reply = await raw(harness, "OPTIONS", "/v1/measurements?limit=1", asked)
            assert reply.status == 204
            assert reply.headers["Access-Control-Allow-Origin"] == "*"
            assert "POST" not in reply.headers["Access-Control-Allow-Methods"]
            allowed = reply.headers["Access-Control-Allow-Headers"]
            assert "Authorization" not in allowed
            assert "Qaz-" not in allowed
            assert (await raw(harness, "OPTIONS", "/v1/recheck", asked)).status == 405

    asyncio.run(scenario())


def test_no_web_page_reads_with_a_token_and_nothing_keeps_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)

    async def scenario() -> None:
        async with collector(tmp_path, operator_token_file=token) as harness:
            bearer = {"Origin": "https://example.org", "Authorization": f"Bearer {SECRET}"}
            wrong = {**bearer, "Authorization": "Bearer no"}
            for headers, status in ((bearer, 200), (wrong, 401)):
                reply = await raw(harness, "GET", "/v1/measurements", headers)
                assert reply.status == status
                assert "Access-Control-Allow-Origin" not in reply.headers
            reply = await raw(harness, "GET", "/v1/measurements", bearer)
            assert reply.headers["Cache-Control"] == "private, no-store"
            assert "Authorization" in reply.headers["Vary"]

    asyncio.run(scenario())


def test_lists_have_pages_that_follow_each_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            urls = ("https://listed.example/", "https://other.example/")
            for asn in (1, 2):
                vantage = msgspec.structs.replace(record().vantage, asn=asn)
                await (await harness.probe()).send(
                    *(record(url, vantage=vantage, started_at=text_of(-60)) for url in urls)
                )
            for path, size in (("/v1/verdicts", 4), ("/v1/hourly", 4), ("/v1/measurements", 4)):
                whole = (await harness.ask("GET", path)).data
                name = next(iter(whole))
                assert len(whole[name]) == size, path
                assert whole["next"] is None
                assert await pages(harness, f"{path}?limit=1", name) == whole[name]
                for cursor in ("x", "bnVsbA", "W10"):
                    reply = await harness.ask("GET", f"{path}?cursor={cursor}")
                    assert (reply.status, reply.data["error"][:8]) == (400, "cursor: "), path

    asyncio.run(scenario())


async def pages(harness: CollectorHarness, path: str, name: str) -> list[Any]:
    """The rows of all pages, by the links from each to the next."""
    rows: list[Any] = []
    following: str | None = path
    while following is not None:
        reply = await harness.ask("GET", following)
        assert reply.status == 200, reply.body
        rows.extend(reply.data[name])
        link = reply.headers.get("Link")
        assert (link is None) == (reply.data["next"] is None)
        following = None if link is None else link.partition(">")[0].removeprefix("<")
    return rows
