"""Charts are well-formed SVG, whatever is drawn, and have no text of others as markup."""

from xml.etree import ElementTree as ET

import pytest

from collector.report import charts
from collector.report.charts import LastingSpan, RatePoint, Strip

HOSTILE = "<script>\"'&" + "word" * 40
DAY = 86_400.0


def drawn(days: int) -> dict[str, str]:
    states = ["", *charts.COLOURS] * days
    counts = {"ok": [3] * days, "blocked": list(range(days))}
    spans = [LastingSpan(HOSTILE, "blocked", -DAY, 0, days * DAY, days * DAY * 9)]
    rates = [RatePoint(day, 10.0**day, 1e6) for day in range(min(days, 12))]
    at = {"first": 0, "days": days}
    return {
        "calendar": charts.calendar(HOSTILE, [Strip(HOSTILE, states[:days])], **at),
        "probes": charts.probe_days(HOSTILE, [(HOSTILE, [0, *range(days - 1)])], **at, least=3),
        "days": charts.stacked_days(HOSTILE, counts, dict.fromkeys(counts, HOSTILE), **at),
        "bars": charts.bars(HOSTILE, [(HOSTILE, 0, "#fff"), (HOSTILE, 10**9, "#fff")]),
        "rates": charts.rates(HOSTILE, rates, (HOSTILE, HOSTILE), **at),
        "spans": charts.spans(HOSTILE, spans, since=0, until=days * DAY),
    }


@pytest.mark.parametrize("days", [1, 14, 31, 366])
def test_every_chart_is_well_formed_and_within_its_bounds(days: int) -> None:
    for name, svg in drawn(days).items():
        root = ET.fromstring(svg)
        _, _, wide, high = map(float, root.attrib["viewBox"].split())
        assert not root.findall(".//{*}script"), name
        for box in root.findall("{*}rect"):
            x, width = (
                float(box.attrib.get("x", 0)),
                float(box.attrib["width"]),
            )
            assert 0 <= x <= x + width <= wide + 0.5, name
            assert float(box.attrib.get("y", 0)) + float(box.attrib["height"]) <= high + 0.5, name


def test_states_have_letters_where_there_is_room() -> None:
    fourteen = charts.calendar("", [Strip("a", ["blocked"] * 14)], first=0, days=14)
    year = charts.calendar("", [Strip("a", ["blocked"] * 366)], first=0, days=366)
    assert fourteen.count(">B<") == 14
    assert ">B<" not in year
