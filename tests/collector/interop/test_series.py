"""Series of IODA and Cloudflare Radar: read from files, kept, and shown where a reader asks."""

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings, strategies as st

from collector.admin import retention
from collector.api.pages import beside
from collector.cli import cli
from collector.interop import series_files
from collector.interop.series_files import POINTS, SeriesError
from collector.store import open_store, outside
from collector.store.outside import OutsideSeries
from collector.web.time_axis import TimeAxis
from tests.collector.harness import collector
from tests.collector.web.evidence import fill

AT = 1_795_800_000
IODA: dict[str, Any] = {
    "type": "signals",
    "data": [
        [
            {
                "entityType": "country",
                "entityCode": "KZ",
                "entityName": "Kazakhstan",
                "datasource": "bgp",
                "from": AT,
                "until": AT + 1500,
                "step": 300,
                "nativeStep": 300,
                "values": [100, None, 0, 50.5, {"agg": 1}],
            },
            {
                "entityType": "asn",
                "entityCode": "9198",
                "datasource": "ping-slash24",
                "subtype": "up",
                "from": AT,
                "step": 600,
                "values": [7],
            },
            {
                "entityType": "region",
                "entityCode": "1226",
                "datasource": "bgp",
                "from": AT,
                "step": 300,
                "values": [1],
            },
        ]
    ],
    "error": None,
}
RADAR: dict[str, Any] = {
    "success": True,
    "result": {
        "meta": {"aggInterval": "FIFTEEN_MINUTES"},
        "serie_0": {
            "timestamps": ["2026-11-21T10:15:00Z", "2026-11-21T10:00:00Z", "no", "2026-11-21"],
            "values": ["0.5", "1.0", "2", "3"],
        },
    },
}


READERS: tuple[Callable[[bytes], list[OutsideSeries]], ...] = (
    series_files.ioda,
    partial(series_files.radar, place=("KZ", 0), signal="http"),
)


def read(value: object) -> bytes:
    return json.dumps(value).encode()


def test_iodas_signals_of_countries_and_networks_are_read() -> None:
    country, network = series_files.ioda(read(IODA))
    assert (country.source, country.signal, country.country, country.asn) == (
        "ioda",
        "bgp",
        "KZ",
        0,
    )
    # What is no number is a gap.
    assert country.points == [(AT, 100.0), (AT + 600, 0.0), (AT + 900, 50.5)]
    assert country.step == 300
    assert "IODA" in country.licence
    assert (network.signal, network.country, network.asn) == ("ping-slash24 up", "", 9198)


def test_radars_series_have_the_place_that_the_operator_says() -> None:
    (one,) = series_files.radar(read(RADAR), ("KZ", 0), "http", "my terms")
    assert (one.source, one.signal, one.country, one.licence) == ("radar", "http", "KZ", "my terms")
    assert [value for _, value in one.points] == [1.0, 0.5]
    assert one.step == 900


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"data": [[{**IODA["data"][0][0], "step": 0}]]},
        {"data": [[{**IODA["data"][0][0], "from": 2**60}]]},
        {"data": [[{**IODA["data"][0][0], "values": [None]}]]},
        {"data": [[{**IODA["data"][0][0], "datasource": "<script>"}]]},
        {"data": [[{**IODA["data"][0][0], "entityCode": "kz"}]]},
        {"data": [[{**IODA["data"][0][0], "values": [1] * (POINTS + 1)}]]},
        {"result": {"serie_0": {"timestamps": 1, "values": []}}},
        {"result": {"serie_0": {"timestamps": ["x"], "values": ["nan"]}}},
    ],
)
def test_other_files_are_refused_in_one_line(value: object) -> None:
    for call in READERS:
        with pytest.raises(SeriesError) as error:
            call(read(value))
        assert "\n" not in str(error.value)


@given(
    st.binary(max_size=100)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["data", "result", "serie_0", "timestamps", "values"])
                | st.text(max_size=5),
                inner,
            )
        ),
        max_leaves=20,
    ).map(read)
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_series_or_one_error(data: bytes) -> None:
    for call in READERS:
        try:
            found = call(data)
        except SeriesError:
            continue
        assert all(one.points for one in found)


def test_bars_are_means_against_the_highest_and_gaps_stay_gaps() -> None:
    axis = TimeAxis(AT, AT + 86_400.0)
    points = [(AT, 10.0), (AT + 300, 30.0), (AT + 1200, 0.0), (AT + 1800, 40.0)]
    made = beside.lane(OutsideSeries("ioda", "bgp", "KZ", 0, "", 300, points), axis)
    assert made.seconds == 600
    assert list(made.bars) == [(AT, 50), (AT + 1200, 1), (AT + 1800, 100)]
    nothing = beside.lane(OutsideSeries("ioda", "bgp", "KZ", 0, "", 300, [(AT, 0.0)]), axis)
    assert [height for _, height in nothing.bars] == [1]


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(cli, ["import", "--store", url, *words])


def ask(url: str, work: Any) -> Any:
    async def asked() -> Any:
        store = await open_store(url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(asked())


def test_series_are_imported_merged_and_dropped_with_the_rest(
    tmp_path: Path, any_store: str
) -> None:
    signals, radar = tmp_path / "ioda.json", tmp_path / "radar.json"
    signals.write_bytes(read(IODA))
    radar.write_bytes(read(RADAR))
    assert run(any_store, "--format", "ioda-series", str(signals)).exit_code == 0
    done = run(any_store, "--format", "ioda-series", str(signals))
    assert done.exit_code == 0, done.output
    assert f"{signals}: ioda bgp of KZ: 3 points" in done.stdout
    done = run(
        any_store, "--format", "radar-series", "--country", "kz", "--signal", "http", str(radar)
    )
    assert done.exit_code == 0, done.output

    async def shown(store: Any) -> list[OutsideSeries]:
        found: list[OutsideSeries] = await store.read(
            outside.at_place(("KZ", 0), ("ioda", "radar"), 0, 4e9), slow=True
        )
        return found

    one, two = ask(any_store, shown)
    assert (one.signal, one.points[0], len(one.points)) == ("bgp", (AT, 100.0), 3)
    assert (two.signal, two.licence) == ("http", "Cloudflare Radar, CC BY-NC 4.0")

    async def retire(store: Any) -> list[str]:
        now = time.time()
        await retention.retire(store, now=now, raw_before=now, before=AT + 10.0**8)
        found: list[str] = await store.read(outside.sources())
        return found

    assert ask(any_store, retire) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "radar-series"], "one of --country and --asn expected"),
        (["--format", "ioda-series", "--asn", "9198"], "only with --format radar-series"),
        (["--country", "KZ"], "--country: only with --format ioda-series and radar-series"),
        (["--format", "radar-series", "--country", "X"], "two letters expected"),
        (["--format", "ioda-series", "--licence", "a\nb"], "printable characters expected"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    done = run(f"sqlite:///{tmp_path / 's.sqlite3'}", *words, str(tmp_path / "x"))
    assert said in str(done.exception) + done.output


def test_a_page_of_outages_shows_them_only_where_a_reader_asks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await fill(harness)
            cuts = (await harness.ask("GET", "/v1/outages/events?kind=shutdown")).data["data"]
            kind, _, code = cuts[0]["location"].partition("/")
            country, asn = ("", int(code)) if kind == "asn" else (code, 0)
            points = [(cuts[0]["start"] + 300 * n, float(n)) for n in range(-5, 5)]
            made = OutsideSeries("ioda", "bgp", country, asn, "their <terms>", 300, points)
            await harness.service.store.write(outside.keep(made))
            for path, there in (("/outages?lang=en", False), ("/outages?lang=en&ioda=1", True)):
                reply = await harness.ask("GET", path)
                page = reply.body.decode()
                assert reply.status == 200
                assert ("IODA: bgp" in page) is there
                assert ("their &lt;terms&gt;" in page) is there
                # Nothing is loaded from elsewhere.
                assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
                assert (
                    "https://"
                    not in page.replace("http://www.w3.org/2000/svg", "")
                    .split("<main")[1]
                    .split("</main")[0]
                )
            assert 'name="ioda"' in page
            assert (await harness.ask("GET", "/outages?ioda=2")).status == 400

    asyncio.run(scenario())


def test_without_an_import_there_is_nothing_to_choose(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            reply = await harness.ask("GET", "/outages?radar=1")
            assert reply.status == 200
            assert 'name="radar"' not in reply.body.decode()

    asyncio.run(scenario())
