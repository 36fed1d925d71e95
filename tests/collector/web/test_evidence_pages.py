"""Pages of an event, a wave, interceptions and outages, and feeds: what they say, and to whom."""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import feedparser
import pytest

from probe import reference_data
from probe.reference_data import Order
from tests.collector.harness import CollectorHarness, collector
from tests.collector.web.evidence import (
    HOSTILE,
    NATIONAL,
    OPEN,
    SHUTDOWN,
    WHITELIST,
    Evidence,
    fill,
)

ATOM = "{http://www.w3.org/2005/Atom}"
Check = Callable[[CollectorHarness, Evidence], Awaitable[None]]


def play(folder: Path, check: Check, *, least: int = 1, lab: bool = True) -> None:
    async def scenario() -> None:
        async with collector(folder, lab=lab, public_min_probes=least) as harness:
            await check(harness, await fill(harness))

    asyncio.run(scenario())


async def page(harness: CollectorHarness, path: str, language: str = "en") -> str:
    headers = {"Accept": "text/html", "Accept-Language": language}
    reply = await harness.ask("GET", path, headers=headers)
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha")
    text = reply.body.decode()
    assert "<script" not in text
    assert " style=" not in text
    return text


def words(text: str) -> str:
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", text))


def test_an_event_is_explained_by_looks_records_and_revisions(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, known: Evidence) -> None:
        text = await page(harness, f"/e/{known.blocked}")
        told = (await harness.ask("GET", f"/v1/events/{known.blocked}")).data
        said = words(text)
        for at in (told["began"]["after"], told["began"]["by"]):
            assert f"{at[11:16]}" in said
        assert f"between {told['began']['after'][:10]} {told['began']['after'][11:16]} and " in said
        assert "listed.example is blocked on the network JSC Kazakhtelecom AS9198" in said
        assert "probe A 7 of 12 show it" in said
        assert "probe C" in said
        assert "probe D" not in said
        # What `qazprobe results show` prints, of three records at most.
        assert text.count("<details") == 3
        assert "TLS handshake with 93.184.216.34 for the name listed.example" in said
        assert "first told as: confirmed" in said
        assert not [key for key in known.keys if key in text]
        # A reader can compute the hash that is cited.
        del told["silent_since"]
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(canonical.encode()).hexdigest() in text
        assert f"event {known.blocked}, revision {told['revision']}, rule set 1" in said

    play(tmp_path, check)


def test_records_are_explained_in_the_readers_language(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, known: Evidence) -> None:
        russian = words(await page(harness, f"/e/{known.blocked}", "ru"))
        english = words(await page(harness, f"/e/{known.blocked}", "en"))
        assert "Measured" in english
        assert "Measured" not in russian
        assert re.search(r"[\u0430-\u044f]{4} .*listed.example", russian)

    play(tmp_path, check)


def test_a_forged_certificate_is_beside_the_sites_own(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, known: Evidence) -> None:
        text = await page(harness, f"/e/{known.intercepted}")
        assert "The certificates beside each other" in text
        # The three records were served the same one.
        assert text.count('<table class="cards">') == 1
        said = words(text)
        assert "An invented public authority" in said
        assert "cut over two packets" in said
        assert "was not seen, so there is none to compare" not in said
        assert f"CN={HOSTILE}" not in text
        assert "CN=&lt;script&gt;" in text
        table = await page(harness, "/interceptions")
        assert "cd" * 32 in table
        assert "21 measurements" not in words(table)
        assert "3 probes · 18 measurements" in words(table)

    play(tmp_path, check)


def test_where_few_measure_only_hours_are_shown(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, known: Evidence) -> None:
        text = await page(harness, f"/e/{known.blocked}")
        said = words(text)
        assert "all probes 21 of 36 show it" in said
        assert "probe A" not in said
        assert "<details" not in text
        times = set(re.findall(r'datetime="[^"]+T\d\d:(\d\d)Z"', text.partition("<footer")[0]))
        assert times == {"00"}
        looks = (await harness.ask("GET", f"/e/{known.blocked}/looks.csv")).body.decode()
        _, *rows = looks.splitlines()
        assert rows
        assert all(
            re.fullmatch(r"[-0-9]+T\d\d:00:00\.000Z,,web,\w+,[\w.]*,\d+", one) for one in rows
        )
        outages = await page(harness, "/outages")
        assert "Networks with few probes are not counted here" in outages
        assert 'aria-label="probes heard"' not in outages

    play(tmp_path, check, least=4)


def test_the_looks_of_a_chart_are_data(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, known: Evidence) -> None:
        reply = await harness.ask("GET", f"/e/{known.blocked}/looks.csv")
        head, *rows = reply.body.decode().splitlines()
        assert head == "at,probe,experiment,outcome,mechanisms,looks"
        assert {one.split(",")[1] for one in rows} == {"A", "B", "C"}
        assert len(rows) == 36

    play(tmp_path, check)


def test_an_order_and_its_deadline_show_who_was_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(harness: CollectorHarness, known: Evidence) -> None:
        plain = await page(harness, f"/w/{known.wave}")
        assert "no network can be called late" in plain
        assert plain.index("Kazakhtelecom") < plain.index("Beeline") < plain.index("Kcell")
        events = (await harness.ask("GET", f"/v1/events?group={known.wave}")).data["events"]
        first = min(one["began"]["after"] for one in events if one["kind"] == "blocking")
        order = Order("KZ", "Ministry <b>", "17", first, ("listed.example",))
        monkeypatch.setattr(reference_data, "orders", lambda: (order,))
        said = await page(harness, f"/w/{known.wave}")
        assert "Ministry &lt;b&gt;" in said
        assert 'class="deadline"' in said
        assert words(said).count("late by at least") == 2
        assert "in time" in words(said)

    play(tmp_path, check)


def test_a_cut_has_heartbeats_reports_and_looks_on_one_line(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, _: Evidence) -> None:
        text = await page(harness, "/outages")
        for id_ in (SHUTDOWN, WHITELIST, NATIONAL):
            assert f'/e/{id_}"' in text
        sections = text.split("<section>")[1:]
        by = {one[1]: part for part in sections if (one := re.search('/e/([0-9a-f]+)"', part))}
        full = words(by[SHUTDOWN])
        for what in (
            "probes heard 5 before",
            "reported afterwards: nothing abroad answered",
            "measured: only chosen sites",
            "measured: nothing abroad",
        ):
            assert what in full
        assert "Gap:" not in full
        assert "Gap:" in words(by[WHITELIST])
        other = await page(harness, "/outages?asn=29355")
        assert f'/e/{SHUTDOWN}"' not in other

    play(tmp_path, check)


async def feed(harness: CollectorHarness, query: str = "") -> ET.Element:
    reply = await harness.ask("GET", f"/feed.atom{query}")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/atom+xml")
    return ET.fromstring(reply.body)


def entries(root: ET.Element) -> list[str]:
    return [one.findtext(f"{ATOM}id") or "" for one in root.iter(f"{ATOM}entry")]


def told_events(root: ET.Element) -> set[str]:
    """The events that entries are about; how many revisions each has depends on arrivals."""
    return {one.split("/")[-2] for one in entries(root)}


def test_feeds_are_valid_and_their_ids_stay(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, known: Evidence) -> None:
        root = await feed(harness)
        for part in (root, *root.iter(f"{ATOM}entry")):
            # RFC 4287, sections 4.1.1 and 4.1.2.
            for name in ("id", "title", "updated"):
                assert len(part.findall(f"{ATOM}{name}")) == 1
            assert part.findtext(f"{ATOM}id", "").startswith("tag:")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", part.findtext(f"{ATOM}updated", ""))
        assert root.find(f"{ATOM}author/{ATOM}name") is not None
        assert [one.get("rel") for one in root.findall(f"{ATOM}link")] == ["self", "alternate"]
        links = {one.get("href") for one in root.iterfind(f"{ATOM}entry/{ATOM}link")}
        assert f"/e/{known.blocked}" in links
        found = entries(root)
        assert len(found) == len(set(found))
        cuts = {SHUTDOWN, WHITELIST, NATIONAL}
        assert told_events(root) >= {known.blocked, known.intercepted, *cuts}
        assert entries(await feed(harness)) == found
        parsed = feedparser.parse((await harness.ask("GET", "/feed.atom")).body)
        assert not parsed.bozo
        assert parsed.version == "atom10"
        assert [one.id for one in parsed.entries] == found
        russian = await feed(harness, "?lang=ru")
        assert entries(russian) == found

    play(tmp_path, check)


def test_feeds_are_of_what_was_asked(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, _: Evidence) -> None:
        for query, number in {
            "?kind=interception": 1,
            "?kind=blocking": 4,
            "?site=listed.example": 4,
            "?site=https://listed.example/": 4,
            "?target=listed.example&asn=AS9198": 1,
            "?category=HUMR": 1,
            "?site=unknown.example": 0,
        }.items():
            assert len(told_events(await feed(harness, query))) == number, query
        # The looks at the line may have made another one.
        whitelists = told_events(await feed(harness, "?country=kz&kind=whitelist"))
        assert WHITELIST in whitelists
        assert SHUTDOWN not in whitelists
        for query in ("?nope=1", "?kind=nope", "?asn=x", "?site=a&target=b", "?site="):
            assert (await harness.ask("GET", f"/feed.atom{query}")).status == 400, query

    play(tmp_path, check)


@pytest.mark.parametrize("path", ["/e/zz", "/e/0", "/e/zz/looks.csv", "/w/zz", "/w/0"])
def test_an_unknown_id_is_a_404_that_people_can_read(path: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            reply = await harness.ask("GET", path, headers={"Accept": "text/html"})
            assert reply.status == 404
            assert b"<h1>" in reply.body
            for one in ("/interceptions", "/outages"):
                assert await page(harness, one)
                assert (await harness.ask("GET", f"{one}?nope=1")).status == 400

    asyncio.run(scenario())


def test_open_ports_of_a_cut_are_on_its_time_line(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, _: Evidence) -> None:
        for path in ("/outages?asn=48503", f"/e/{OPEN}", f"/e/{OPEN}/chart/cut"):
            said = words(await page(harness, path))
            assert re.search("port 179 of the project's server ([1-9][0-9]*) of \\1 answered", said)
            assert re.search("port 3785 of the project's server 0 of [1-9][0-9]* answered", said)
            assert re.search("public resolvers abroad, port 53 0 of [1-9]", said)
            assert "measurements, evenly over this time" not in said
            assert "open ports (" not in said
        many = words(await page(harness, "/outages"))
        assert re.search("Ports: by [0-9]+ of 18 measurements, evenly over this time", many)
        rows = (await harness.ask("GET", f"/e/{OPEN}/chart/cut.csv")).body.decode()
        assert re.search(rf"KZ,48503,{OPEN},project_port_179,\S+Z,\S+Z,1\n", rows)
        assert f",{OPEN},project_port_3785," in rows
        assert "no open ports" in words(await page(harness, f"/e/{WHITELIST}"))
        russian = words(await page(harness, f"/e/{OPEN}/chart/cut", "ru"))
        assert "порт 179 сервера проекта" in russian

    play(tmp_path, check)


def test_open_ports_are_hidden_where_few_measure(tmp_path: Path) -> None:
    async def check(harness: CollectorHarness, _: Evidence) -> None:
        text = await page(harness, "/outages")
        assert "of the project" not in text
        assert "no open ports" in text

    play(tmp_path, check, least=4)
