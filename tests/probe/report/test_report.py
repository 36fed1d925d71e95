"""The HTML report: one line a site, charts, evidence that prints, languages, nothing active."""

import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from probe import i18n
from probe.model import Mechanism, Outcome, Record, Sample, Stage, Transfer, Verdict
from probe.report.charts import COLOURS, SIGNS
from probe.report.report import html
from tests.probe import sample

LATER = "019aa9d9-0000-7000-8000-000000000002"


def transfer(arm: str, pair: int, rate: float | None, *points: tuple[float, int]) -> Transfer:
    return Transfer(
        address="192.0.2.9",
        port=9443,
        sni="d.example",
        arm=arm,  # type: ignore[arg-type]
        pair=pair,
        rate=rate,
        samples=tuple(Sample(at=at, wire=wire) for at, wire in points),
    )


def throttled() -> Record:
    made = sample.record(
        "d",
        transfer("A", 1, 16_000.0, (0.0, 500), (5.0, 80_000), (10.0, 160_000)),
        transfer("B", 1, 2_000_000.0, (0.0, 500), (0.1, 256_000)),
        outcome=Outcome.THROTTLED,
        mechanisms=(Mechanism.THROTTLE_POLICED,),
        reason="This name gets less.",
    )
    return replace(made, experiment="throttle")


RECORDS = (
    sample.intercepted("a"),
    sample.blocked("b"),
    sample.record("d"),
    throttled(),
    sample.facts(),
)


class Page(HTMLParser):
    """The tags, texts and attributes of a page, with a check that it is well formed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str, **attributes: str) -> int:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return sum(name == tag and wanted.items() <= given.items() for name, given in self.tags)


def test_one_site_is_one_line_with_what_each_experiment_saw() -> None:
    page = Page(html(RECORDS, made="now"))
    assert page.count("td", class_="site") == 3
    assert page.text.count("web ok · throttle throttled") == 1
    assert "1 intercepted" in page.text
    assert "1 throttled" in page.text


def test_date_network_run_and_confidence_are_said() -> None:
    text = Page(html(RECORDS, made="now")).text
    assert "2026-11-21 21:39 UTC" in text
    assert "JSC Kazakhtelecom, AS9198, KZ" in text
    assert sample.RUN in text
    assert "tls.timeout" in text
    assert "98% confidence, seen in one run so far" in text
    (fine,) = re.findall("98% confidence[^<]*", html((sample.trusted(),), made="now"))
    assert fine == "98% confidence"


def test_evidence_is_printed_though_it_is_closed_on_the_screen() -> None:
    page = html(RECORDS, made="now")
    assert Page(page).count("div", class_="evidence") == Page(page).count("details") == 4
    assert page.count('</summary></details><div class="evidence">') == 4
    screen, paper = page.split("@media print", 1)
    assert "details:not([open])+.evidence{display:none}" in screen
    assert "details:not([open])+.evidence{display:block}" in paper


def test_a_throttled_transfer_is_drawn_beside_its_reference() -> None:
    page = Page(html(RECORDS, made="now"))
    assert page.count("polyline", class_="target") == 1
    assert page.count("polyline", class_="reference") == 1
    assert "this name: 16.0 kB/s" in page.text
    assert "the reference: 2.0 MB/s" in page.text
    for points in [given["points"] or "" for tag, given in page.tags if tag == "polyline"]:
        for x, y in (pair.split(",") for pair in points.split()):
            assert 0 <= float(x) <= 360
            assert 0 <= float(y) <= 190


def test_categories_have_bars_of_the_whole_width() -> None:
    other = replace(sample.blocked("e"), category="HUMR")
    odd = replace(sample.blocked("f"), category="<b>")
    page = html((*RECORDS, other, odd), made="now")
    assert Page(page).count("svg", class_="stack") == 4
    for bar in re.findall('<svg class="stack".*?</svg>', page):
        wide = sum(map(float, re.findall('rect x="[0-9.]+%" width="([0-9.]+)%"', bar)))
        assert wide == pytest.approx(100, abs=0.1)
    assert "<span>human rights <b>1</b></span>" in page
    assert "<span>&lt;b&gt; <b>1</b></span>" in page


def test_outcomes_differ_in_colour_and_in_sign() -> None:
    assert set(COLOURS) == set(SIGNS) == set(Outcome)
    assert len(set(COLOURS.values())) == len(set(SIGNS.values())) == len(Outcome)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_black_signs_are_readable_on_every_colour(outcome: Outcome) -> None:
    assert (luminance(COLOURS[outcome]) + 0.05) / 0.05 >= 6


def test_of_several_runs_the_gravest_finding_is_shown_with_how_often() -> None:
    fine = replace(sample.record("b"), run=LATER, started_at="2026-11-22T10:00:00.000Z")
    page = Page(html((*RECORDS, fine), made="now"))
    assert page.count("td", class_="site") == 3
    assert "in 1 of 2 runs" in page.text
    assert "2026-11-21 21:39 UTC … 2026-11-22 10:00 UTC" in page.text


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_the_page_is_complete_in_every_language(language: str) -> None:
    i18n.use(language)
    try:
        page = html(RECORDS, made="now")
    finally:
        i18n.use("en")
    assert f'<html lang="{language}">' in page
    parsed = Page(page)
    assert parsed.count("td", class_="site") == 3
    assert "{" not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)


def test_every_text_from_outside_is_escaped() -> None:
    evil = sample.HOSTILE + "\"'<svg onload=x>"
    steps = (transfer("A", 1, None, (0.0, 1), (1.0, 2)), transfer("B", 1, None, (0.0, 1)))
    made = replace(
        sample.hostile(),
        input=f"http://{evil}/",
        category=evil,
        experiment=evil,
        run=evil,
        steps=(*sample.hostile().steps, *steps),
        vantage=replace(sample.KAZAKHTELECOM, network=evil, region=evil, version=evil),
        verdict=Verdict(outcome=Outcome.THROTTLED, stage=Stage.CONFIRMED, confidence=1.0),
    )
    page = html((made, replace(sample.facts(), run=evil)), made="now")
    names = {name for name, _given in Page(page).tags}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "form", "a"})
    assert "onload" not in {key for _name, given in Page(page).tags for key in given}
    assert not {"\x1b", "\x9b", "\u202e"} & set(page)


def test_odd_samples_make_no_broken_chart() -> None:
    steps = (
        transfer("A", 1, None, (-5.0, -3), (0.0, 0)),
        transfer("B", 1, None, (0.0, 0)),
        transfer("L", 0, None, (1.0, 5)),
    )
    page = html((replace(throttled(), steps=steps),), made="now")
    assert "nan" not in page
    assert "inf" not in page.replace("information", "")
    assert Page(html((replace(throttled(), steps=()),), made="now")).count("polyline") == 0
