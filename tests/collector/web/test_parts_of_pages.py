"""The parts of the explorer: cells, days, charts, times, languages, addresses, translations."""

import re
from pathlib import Path

import pytest

from collector import api as interface
from collector.api.pages import history, matrix
from collector.api.pages.history import DayCounts, DayShown
from collector.web import charts, languages, times, words
from collector.web.charts import DayCell
from collector.web.links import Links
from tools import catalogues


@pytest.mark.parametrize(
    ("votes", "outcome", "certain", "agree", "able"),
    [
        ({"ok": 3}, "ok", True, 3, 3),
        ({"blocked": 2, "ok": 1}, "blocked", True, 2, 3),
        ({"blocked": 1}, "blocked", False, 1, 1),
        ({"blocked": 2, "ok": 3}, "blocked", False, 2, 5),
        ({"blocked": 3, "intercepted": 1}, "blocked", True, 3, 4),
        ({"blocked": 1, "intercepted": 1}, "intercepted", False, 1, 2),
        ({"inconclusive": 5, "ok": 1}, "ok", False, 1, 1),
        ({"down": 2}, "down", True, 2, 0),
    ],
)
def test_a_cell_is_certain_where_a_quorum_says_so(
    votes: dict[str, int], outcome: str, *, certain: bool, agree: int, able: int
) -> None:
    assert matrix.cell(votes, 2) == matrix.MatrixCell(outcome, certain, agree, able)


def test_a_site_without_votes_has_an_empty_cell() -> None:
    votes = {("a", "KZ", 1): {"blocked": 2}, ("b", "KZ", 2): {"ok": 1}}
    table = matrix.matrix(votes, [("a", "NEWS"), ("b", "")], matrix.networks_of(votes), 2)
    assert [one.asn for one in table.networks] == [1, 2]
    assert [[cell and cell.outcome for cell in row.cells] for row in table.rows] == [
        ["blocked", None],
        [None, "ok"],
    ]
    assert min(table.rows, key=lambda row: row.weight).site == "a"
    assert matrix.worst(votes) == ["a"]


def counted(**outcomes: int) -> DayCounts:
    made = DayCounts()
    made.outcomes.update(outcomes)
    return made


def test_a_day_is_sure_where_half_of_the_measurements_say_so() -> None:
    assert counted(blocked=2, ok=2).shown(5) == DayShown(5, "blocked", sure=True, found=2, able=4)
    assert counted(blocked=1, ok=2).shown(5) == DayShown(5, "blocked", sure=False, found=1, able=3)
    assert counted(ok=1, inconclusive=9).shown(5) == DayShown(5, "ok", sure=True, found=1, able=1)
    assert counted(inconclusive=9).shown(5).outcome == "inconclusive"
    assert counted(none=2).shown(5).outcome == "inconclusive"
    assert counted(ok=0).shown(5) == DayShown(5)


def test_days_that_look_the_same_are_one_spell() -> None:
    of = {3: counted(ok=4), 4: counted(blocked=4), 5: counted(blocked=2), 9: counted(blocked=1)}
    shown = history.days(of, 2, 10)
    assert len(shown) == 8
    found = [(one.first, one.last, one.outcome, one.found) for one in history.spells(shown)]
    assert found == [(9, 9, "blocked", 1), (4, 5, "blocked", 6), (3, 3, "ok", 4)]


def test_several_networks_are_added() -> None:
    of = history.together([{1: counted(ok=1)}, {1: counted(ok=2, blocked=9)}])
    assert of[1].shown(1) == DayShown(1, "blocked", sure=True, found=9, able=12)


def test_charts_escape_what_they_are_given() -> None:
    hostile = '"><script>'
    for chart in (
        charts.strip([DayCell("blocked", "<", hostile)], hostile),
        charts.strip([DayCell("blocked", "<", hostile, sure=False)], hostile),
        charts.bars([0, 3], hostile),
        charts.rates([(1, 2.0, 3.0)], hostile),
        charts.rates([(1, 0.0, 0.0), (2, 0.0, 0.0)], hostile),
    ):
        assert "<script" not in chart
        assert chart.startswith("<svg")
        assert chart.endswith("</svg>")
        assert "style=" not in chart


def test_rates_have_units() -> None:
    rates = (0, 100, 1_000, 320_000, 2_600_000, 200_000_000)
    texts = ["0 bit/s", "800 bit/s", "8 kbit/s", "2.56 Mbit/s", "20.8 Mbit/s", "1.6 Gbit/s"]
    assert [charts.rate_text(one) for one in rates] == texts


def test_times_are_in_utc_and_in_that_of_the_country() -> None:
    assert times.shown("2026-11-28T03:10:09.000Z", "KZ")[1:] == ("2026-11-28 03:10", "08:10")
    assert times.shown("2026-11-28T20:10:00Z", "KZ").local == "2026-11-29 01:10"
    assert times.shown(0.0, "US") == times.ShownTime("1970-01-01T00:00Z", "1970-01-01 00:00", "")
    assert (times.city("KZ"), times.city("ZZ")) == ("Almaty", "")
    assert all(times.zone(country) is not None for country in times.ZONES)


@pytest.mark.parametrize(
    ("after", "by", "utc", "local"),
    [
        ("T03:10:00Z", "T04:50:00Z", "2026-11-28 03:10-04:50", "08:10-09:50"),
        ("T18:10:00Z", "T20:50:00Z", "2026-11-28 18:10-20:50", "23:10-2026-11-29 01:50"),
        ("T20:10:00Z", "T21:50:00Z", "2026-11-28 20:10-21:50", "2026-11-29 01:10-02:50"),
    ],
)
def test_the_time_between_two_instants_tells_a_day_once(
    after: str, by: str, utc: str, local: str
) -> None:
    shown = times.span(f"2026-11-28{after}", f"2026-11-28{by}", "KZ")
    assert f"{shown.first.utc}-{shown.last.utc}" == utc
    assert shown.local.replace("\N{EN DASH}", "-") == local
    assert times.span(f"2026-11-28{after}", f"2026-11-28{by}", "US").local == ""


def test_the_time_between_two_days_tells_both() -> None:
    shown = times.span("2026-11-28T23:10:00Z", "2026-11-29T00:50:00Z", "KZ")
    assert (shown.first.utc, shown.last.utc) == ("2026-11-28 23:10", "2026-11-29 00:50")
    assert shown.local.replace("\N{EN DASH}", "-") == "2026-11-29 04:10-05:50"


def test_what_a_refusal_says_is_what_the_api_says() -> None:
    api = "".join(one.read_text() for one in Path(interface.__file__).parent.rglob("*.py"))
    assert [text for text in words.REFUSALS if f'"{text}"' not in api] == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("kk-KZ,ru;q=0.8,en;q=0.5", "kk"),
        ("de,en;q=0.5,RU;q=0.9", "ru"),
        ("ru;q=x,kk;q=0", "en"),
        ("*", "en"),
        (";,=;q=1," * 99, "en"),
    ],
)
def test_the_preferred_language(header: str, language: str) -> None:
    assert languages.preferred(header) == language


def test_addresses_keep_a_chosen_language_and_are_quoted() -> None:
    chosen = Links("/events", {"kind": "blocking", "cursor": "x"}, "kk")
    assert chosen.site("a/b c?") == "/site/a%2Fb%20c%3F?lang=kk"
    assert chosen.to("/events", state="") == "/events?lang=kk"
    assert chosen.here(cursor="y") == "/events?kind=blocking&cursor=y&lang=kk"
    assert chosen.api("/v1/events", format="csv") == (
        "/v1/events?kind=blocking&cursor=x&format=csv"
    )
    assert [one.address for one in Links("/", {}, None).languages()] == [
        "/?lang=en",
        "/?lang=ru",
        "/?lang=kk",
    ]
    assert Links("/", {}, None).network(9198) == "/network/9198"


@pytest.mark.parametrize("code", catalogues.TRANSLATED)
def test_every_text_of_the_pages_is_translated(code: str) -> None:
    written = catalogues.path(code, catalogues.PAGES)
    catalog = catalogues.updated(code, catalogues.PAGES)
    assert catalogues.missing(catalog) == []
    assert written.read_bytes() == catalogues.as_po(catalog), "run python -m tools.catalogues"
    assert written.with_suffix(".mo").read_bytes() == catalogues.as_mo(
        catalogues.updated(code, catalogues.PAGES)
    )


@pytest.mark.parametrize("code", catalogues.TRANSLATED)
def test_translations_have_the_gaps_of_their_texts(code: str) -> None:
    for one in catalogues.read(code, catalogues.PAGES):
        english = one.id if isinstance(one.id, tuple | list) else (one.id,)
        there = one.string if isinstance(one.string, tuple | list) else (one.string,)
        gaps = {gap for text in english for gap in re.findall(r"%\(\w+\)s", text)}
        for text in filter(None, there if one.id else ()):
            assert set(re.findall(r"%\(\w+\)s", text)) == gaps, text
            assert "%" not in re.sub(r"%\(\w+\)s|%%", "", text), text
