"""Charts at addresses of their own: each alone, in three languages, and its data as CSV."""

import asyncio
import csv
import io
import re
import time
from collections.abc import Awaitable, Callable
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from collector.web.languages import LANGUAGES
from collector.web.links import Links
from tests.collector.harness import CollectorHarness, collector
from tests.collector.web import evidence, world

# Charts of pages with what stands in them, and the columns of their data.
CHARTS = {
    "/chart/matrix": ("matrix", "site,country,asn,outcome,certain,agree,able"),
    "/chart/heard": ("lanes", "country,hour,probes"),
    "/chart/reached": ("lanes", "country,hour,domestic,foreign,probes"),
    "/site/video-tube.example/chart/history": (
        "strip",
        "country,asn,network,day,outcome,sure,found,able,mechanisms",
    ),
    "/site/video-tube.example/chart/speed": (
        "rates",
        "country,asn,network,day,bytes_per_second,reference_bytes_per_second",
    ),
    "/network/9198/chart/history": (
        "strip",
        "site,category,day,outcome,sure,found,able,mechanisms",
    ),
    "/category/NEWS/chart/matrix": ("matrix", "site,country,asn,outcome,certain,agree,able"),
    "/outages/chart/cuts": ("lanes", "country,asn,event,lane,since,until,value"),
    "/outages/chart/unconfirmed": ("", "country,asn,event,lane,since,until,value"),
}
EVIDENCE = {
    "/e/{blocked}/chart/looks": ("lanes", "at,probe,experiment,outcome,mechanisms,looks"),
    "/e/{cut}/chart/cut": ("lanes", "country,asn,event,lane,since,until,value"),
    "/w/{wave}/chart/clock": ("lanes", "event,target,country,asn,after,by,keeping,late_seconds"),
}
POLICY = "default-src 'none'; style-src 'sha256-"


def play(folder: Path, check: Callable[[CollectorHarness], Awaitable[None]]) -> None:
    world.make(folder, time.time())

    async def scenario() -> None:
        async with collector(folder, public_min_probes=3) as harness:
            await check(harness)

    asyncio.run(scenario())


async def is_alone(harness: CollectorHarness, path: str, look: str, columns: str) -> None:
    for language in LANGUAGES:
        headers = {"Accept": "text/html", "Accept-Language": language}
        reply = await harness.ask("GET", path, headers=headers)
        text = reply.body.decode()
        assert reply.status == 200, (path, text)
        assert reply.headers["Content-Security-Policy"].startswith(POLICY)
        assert f'<html lang="{language}">' in text
        assert "<script" not in text
        assert f'class="{look}"' in text or not look, path
        assert text.count("<h1>") == 1
        assert len(re.findall("<h2[ >]", text)) == 1 or "/outages/" in path, path
        assert f'href="{path}.csv"' in text
        whole = path.partition("/chart/")[0] or "/"
        assert f'<a href="{whole}">' in text
    reply = await harness.ask("GET", f"{path}.csv")
    assert reply.status == 200, path
    assert reply.headers["Content-Type"].startswith("text/csv")
    assert reply.body.decode().splitlines()[0] == columns


def test_each_chart_has_an_address_and_its_data(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness) -> None:
        for path, (look, columns) in CHARTS.items():
            await is_alone(harness, path, look, columns)
            whole = path.partition("/chart/")[0] or "/"
            text = (await harness.ask("GET", whole)).body.decode()
            assert f'href="{path}"' in text or not look, path

    play(tmp_path, check)


def test_charts_of_events_have_addresses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, lab=True, public_min_probes=1) as harness:
            known = await evidence.fill(harness)
            ids = {"blocked": known.blocked, "wave": known.wave, "cut": evidence.SHUTDOWN}
            for path, (look, columns) in EVIDENCE.items():
                await is_alone(harness, path.format(**ids), look, columns)
            same = (await harness.ask("GET", f"/e/{known.blocked}/looks.csv")).body
            assert (await harness.ask("GET", f"/e/{known.blocked}/chart/looks.csv")).body == same
            assert (await harness.ask("GET", f"/e/{known.blocked}/chart/cut")).status == 404

    asyncio.run(scenario())


def test_a_chart_keeps_the_filters_of_its_page(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness) -> None:
        path = "/site/chronicle.example"
        text = (await harness.ask("GET", f"{path}?asn=9198&lang=ru")).body.decode()
        assert text.count('class="strip"') == 3
        assert f'href="{path}/chart/history?asn=9198&amp;lang=ru"' in text
        assert f'href="{path}/chart/history.csv?asn=9198"' in text
        data = (await harness.ask("GET", f"{path}/chart/history.csv?asn=9198")).body.decode()
        rows = list(csv.DictReader(io.StringIO(data)))
        assert {one["asn"] for one in rows} == {"9198"}
        assert rows[-1]["outcome"] == "blocked"
        assert "tls.timeout" in {one["mechanisms"] for one in rows}

    play(tmp_path, check)


@pytest.mark.parametrize("name", ["nothing", "matrix.svg", "matrix.csv.csv", ".csv", "MATRIX"])
def test_an_unknown_chart_is_a_404(tmp_path: Path, name: str) -> None:
    async def check(harness: CollectorHarness) -> None:
        reply = await harness.ask("GET", f"/chart/{name}", headers={"Accept": "text/html"})
        assert reply.status == 404
        assert "charts here: matrix, heard, reached" in unescape(reply.body.decode())

    play(tmp_path, check)


def test_a_network_says_how_many_sites_there_are_and_leads_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(harness: CollectorHarness) -> None:
        path, seen = "/network/9198", list[str]()
        every = (await harness.ask("GET", path)).body.decode()
        number = len(re.findall('class="name"', every))
        assert f"{number} sites, those with most interference first." in every
        monkeypatch.setattr("collector.api.pages.network.SITES", 4)
        first = (await harness.ask("GET", path)).body.decode()
        assert f"Sites 1 to 4 of {number}" in first
        while path:
            text = (await harness.ask("GET", path)).body.decode()
            seen += re.findall('class="name"><a href="([^"]+)"', text)
            following = re.search(r'rel="next" href="([^"]*)"', text)
            path = unescape(following[1]) if following else ""
        assert len(seen) == len(set(seen)) == number
        news = (await harness.ask("GET", "/network/9198?category=NEWS")).body.decode()
        assert set(re.findall('class="name"><a href="/site/([^"]+)"', news)) <= {
            f"{one}.example" for one in world.SITES["NEWS"]
        }
        assert '<option value="NEWS" selected>' in news

    play(tmp_path, check)


def test_addresses_of_names_with_slashes_stay_quoted() -> None:
    path = f"/site/{quote('a/b?c', safe='')}"
    links = Links(f"{path}/chart/history", {"asn": "1"}, "kk")
    assert links.chart("speed") == f"{path}/chart/speed?asn=1&lang=kk"
    assert links.chart_data("speed") == f"{path}/chart/speed.csv?asn=1"
    assert links.whole() == f"{path}?asn=1&lang=kk"
    assert Links("/", {}, None).chart("matrix") == "/chart/matrix"
    assert Links("/chart/matrix", {}, None).whole() == "/"
