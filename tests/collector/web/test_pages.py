"""The explorer over HTTP: pages answer, escape, link to what is there, and keep the care rule."""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from html import unescape
from pathlib import Path
from urllib.parse import quote, urldefrag

import pytest

from collector.web.languages import LANGUAGES
from tests.collector.harness import Answer, CollectorHarness, collector
from tests.collector.web import world
from tools.screenshots import PAGES

BROWSER = {"Accept": "text/html"}
PATHS = tuple(path for name, path in PAGES.items() if name != "refusal")
# Scripts, and what would be loaded; a feed is only pointed to.
FOREIGN = r'<script|<link (?!rel="alternate")|<img|<iframe|style=|javascript:|@import|url\('
# So many links of the same kind are followed.
ALIKE = 5


def play(
    folder: Path, scenario: Callable[[CollectorHarness], Awaitable[None]], least: int = 3
) -> None:
    world.make(folder, time.time())

    async def run() -> None:
        async with collector(folder, public_min_probes=least) as harness:
            await scenario(harness)

    asyncio.run(run())


async def page(harness: CollectorHarness, path: str, **headers: str) -> str:
    reply = await harness.ask("GET", path, headers=BROWSER | headers)
    assert reply.status == 200, (path, reply.body[:300])
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    return reply.body.decode()


def test_every_page_has_no_script_and_a_strict_policy(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        for path in PATHS:
            reply = await harness.ask("GET", path)
            text, policy = reply.body.decode(), reply.headers["Content-Security-Policy"]
            style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
            assert style is not None
            digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
            assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
            assert not re.search(FOREIGN, text), path

    play(tmp_path, scenario)


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        hostile = f"/site/{quote(world.HOSTILE, safe='')}"
        for path in (*PATHS, hostile, "/events?target=%3Cscript%3Ealert(2)"):
            text = await page(harness, path)
            assert "<script" not in text, path
            assert "<b>tls</b>" not in text, path
        assert "&lt;script&gt;alert(1)" in await page(harness, hostile)

    play(tmp_path, scenario)


def test_every_link_of_every_page_leads_somewhere(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        due, seen, alike, broken = list(PATHS), set(PATHS), dict[str, int](), list[str]()
        while due:
            path = due.pop()
            reply = await harness.ask("GET", path, headers=BROWSER)
            if reply.status != 200:
                broken.append(f"{path}: {reply.status}")
            for link in links(reply):
                kind = re.sub(r"(?<=/)[^/?]+(?=\?|$)", "*", re.sub(r"=[^&]*", "", link))
                alike[kind] = alike.get(kind, 0) + 1
                if link not in seen and alike[kind] <= ALIKE:
                    seen.add(link)
                    due.append(link)
        assert broken == []
        assert any(link.startswith("/site/") for link in seen)
        assert any(link.startswith("/v1/hourly?target=") for link in seen)

    play(tmp_path, scenario)


def links(reply: Answer) -> list[str]:
    """The addresses on this collector that a page links to; of data none."""
    if not reply.headers["Content-Type"].startswith("text/html"):
        return []
    found = re.findall(r'href="(/[^"]*)"', reply.body.decode())
    return [urldefrag(unescape(one)).url for one in found]


def test_the_language_is_that_of_the_browser_or_the_switch(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        for language in LANGUAGES:
            accepted = await page(harness, "/", **{"Accept-Language": f"{language}-XX, en;q=0.5"})
            assert f'<html lang="{language}">' in accepted
            assert "lang=" + language not in re.sub(r"<nav.*?</nav>", "", accepted, flags=re.DOTALL)
            chosen = await page(harness, f"/?lang={language}", **{"Accept-Language": "en"})
            assert f'<html lang="{language}">' in chosen
            assert f'href="/network/9198?lang={language}"' in chosen
            assert f'href="/events?kind=blocking&amp;state=confirmed&amp;lang={language}"' in chosen

    play(tmp_path, scenario)


def test_a_refusal_is_a_page_for_people_and_json_for_programs(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        for path, status, says in (
            ("/site/unknown.example", 404, "no site with this name"),
            ("/site/unlisted", 404, "no site with this name"),
            ("/network/x", 404, "a number such as 9198"),
            ("/network/4294967296", 404, "a number such as 9198"),
            ("/network/99", 404, "nothing was measured"),
            ("/category/NONE", 404, "no listed site"),
            ("/?tagret=%3Cb%3E", 400, "tagret: unknown"),
            ("/events?kind=bloking", 400, "kind: blocking"),
            ("/events?unknown=", 400, "unknown: unknown"),
        ):
            for_people = await harness.ask("GET", path, headers=BROWSER)
            for_programs = await harness.ask("GET", path)
            assert for_people.status == for_programs.status == status, path
            assert says in unescape(for_people.body.decode()), path
            assert says in for_programs.data["error"], path
        russian = await harness.ask("GET", "/site/unknown.example?lang=ru", headers=BROWSER)
        assert "таким именем здесь не измеряли" in russian.body.decode()

    play(tmp_path, scenario)


def test_a_field_of_the_form_that_was_left_empty_selects_everything(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        empty = "/events?kind=&state=&category=&target=&asn=&country=&since=&until="
        every = await page(harness, empty)
        assert events_of(every) == events_of(await page(harness, "/events"))
        some = await page(harness, "/events?kind=interception&target=&asn=AS29355")
        assert set(events_of(some)) < set(events_of(every))
        assert '<option value="interception" selected>' in some
        assert 'name="asn" value="29355"' in some

    play(tmp_path, scenario)


def events_of(text: str) -> list[str]:
    return re.findall(r'href="/e/(\w+)', text)


def test_pages_of_events_follow_each_other(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        seen, path = list[str](), "/events?limit=9"
        while path:
            text = await page(harness, path)
            seen += events_of(text)
            following = re.search(r'href="([^"]*)" rel="next"', text)
            path = unescape(following[1]) if following else ""
        listed = (await harness.ask("GET", "/v1/events?limit=1000")).data["events"]
        assert seen == [one["id"] for one in listed]

    play(tmp_path, scenario)


@pytest.mark.parametrize(("least", "exact"), [(3, False), (1, True)])
def test_pages_tell_no_more_than_the_api(tmp_path: Path, least: int, exact: bool) -> None:  # noqa: FBT001 - a parameter of a test
    async def scenario(harness: CollectorHarness) -> None:
        listed = (await harness.ask("GET", "/v1/events?limit=1000")).data["events"]
        told = {one["began"]["by"][:16] for one in listed}
        told |= {one["began"]["after"][:16] for one in listed}
        for path in ("/", "/events", "/site/chronicle.example", "/network/9198"):
            text = await page(harness, path)
            shown = re.findall(r'began.{0,20}<time datetime="([^"]+)Z"', text, re.DOTALL)
            assert path == "/" or shown, path
            assert set(shown) <= told, path
        assert all(one["coarse"] is not exact for one in listed)
        assert any(not one.endswith(":00") for one in told) == exact

    # A minute that is no whole hour.
    world.make(tmp_path, time.time() // 3600 * 3600 + 11 * 60)
    asyncio.run(_at(tmp_path, scenario, least))


async def _at(
    folder: Path, scenario: Callable[[CollectorHarness], Awaitable[None]], least: int
) -> None:
    async with collector(folder, public_min_probes=least) as harness:
        await scenario(harness)


def test_the_page_of_a_site_shows_its_days_and_its_speed(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        blocked = await page(harness, "/site/chronicle.example")
        assert blocked.count('class="strip"') == 3 * len(world.NETWORKS)
        assert re.search(r"blocked 1?\d/1?\d tls.timeout", blocked)
        slow = await page(harness, "/site/video-tube.example")
        assert "320 kbit/s, reference 20.8 Mbit/s" in slow
        assert 'class="rates"' in slow
        assert "2 of 2 probes (a hint)" in slow

    play(tmp_path, scenario)


def test_few_probes_are_called_a_hint(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        assert "1 probe: a hint, not a finding." in await page(harness, "/network/41798")
        assert "not a finding" not in re.sub(
            r"<footer>.*", "", await page(harness, "/network/9198"), flags=re.DOTALL
        )

    play(tmp_path, scenario)


def test_an_empty_collector_has_pages_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with collector(tmp_path) as harness:
            assert "No event lasts now." in await page(harness, "/")
            assert "No event matches." in await page(harness, "/events")
            assert "Nothing was measured" in await page(harness, "/site/listed.example")

    asyncio.run(run())


def test_pages_say_what_they_leave_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        path = "/site/video-tube.example"
        whole = await page(harness, path)
        assert "Of the newest" not in whole
        assert "Older ones are on another page:" not in whole
        monkeypatch.setattr("collector.api.pages.site.RATES", 10)
        monkeypatch.setattr("collector.api.pages.site.EVENTS", 1)
        monkeypatch.setattr("collector.api.pages.network.EVENTS", 2)
        monkeypatch.setattr("collector.api.pages.outages.CUTS", 2)
        part = await page(harness, path)
        assert "Of the newest 10 measurements; older ones are in the data." in part
        assert "Older ones are on another page:" in part
        assert "Older ones are on another page:" in await page(harness, "/network/9198")
        # The pages of cuts follow each other, and every cut is on one.
        seen, following = set[str](), "/outages"
        while following:
            text = await page(harness, following)
            seen |= set(events_of(text))
            found = re.search(r'rel="next" href="([^"]*)"', text)
            following = unescape(found[1]) if found else ""
            assert len(seen) < 20
        assert seen == {"5d0000000001", "5d0000000002", "5d0000000003"}

    play(tmp_path, scenario)
