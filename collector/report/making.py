"""Make a report: read the store, freeze the rows, and write every file of the folder."""

import asyncio
import contextlib
import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from math import ceil
from pathlib import Path
from typing import NamedTuple

from collector.report import line_tables, manifest, notebook, page, tables
from collector.report.asked import ReportAsked
from collector.report.drawings import drawings
from collector.report.frozen import FrozenRows, frozen_rows
from collector.report.gathered import Gathered, Happened, gathered
from collector.report.happened import read_events
from collector.report.heard import read_heard
from collector.report.intercepted import InterceptedFound, read_interceptions
from collector.report.manifest import FrozenData, sha256_of
from collector.report.rows import ReportRows, report_rows
from collector.report.silences import read_silences
from collector.report.texts import ReportTexts, speaking
from collector.settings import SettingsError
from collector.store import Operation, Store, exports, hourly
from collector.store.hourly import HourlySelection

_WORK = ".work"
_HOURS_AT_ONCE = 10_000
Progress = Callable[[int], object]


async def make(
    store: Store,
    asked: ReportAsked,
    folder: Path,
    progress: Callable[[str, int], contextlib.AbstractContextManager[Progress]],
) -> FrozenData:
    """Write a report into an empty folder.

    Raises:
        SettingsError: Nothing was measured in this time.
    """
    work = folder / _WORK
    work.mkdir()
    rows = await report_rows(store, asked)
    source = work / "rows.jsonl.gz"
    length = await store.read(exports.count(asked.selection), slow=True)
    with progress("reading", length) as step:
        await rows.write(store, source, step)
    happened = await _happened(store, asked, rows)
    served = await store.read(read_interceptions(asked, rows.care), slow=True)
    counted = await store.read(_counted(asked), slow=True) if not asked.categories else None
    had = _ReadParts(rows, happened, served, counted)
    with progress("writing", 4) as step:
        found = await asyncio.to_thread(_write, asked, folder, had, step)
    shutil.rmtree(work)
    _seal(folder, asked, found)
    return found[0]


async def _happened(store: Store, asked: ReportAsked, rows: ReportRows) -> Happened:
    """Events, heartbeats, and outages that nothing but heartbeats shows."""
    return Happened(
        events=await store.read(read_events(asked, rows.care), slow=True),
        heard=await store.read(read_heard(asked, rows.standings, rows.care), slow=True),
        silences=await read_silences(store, asked, rows.standings),
    )


def _counted(asked: ReportAsked) -> Operation[int]:
    """How many measurements of this time were counted; the counts outlast the records."""
    wanted = HourlySelection(
        targets=None,
        country=asked.country,
        asn=-1,
        experiment="",
        outcome="",
        since=ceil(asked.since / 3600),
        until=ceil(asked.until / 3600),
    )
    n, after = 0, hourly.FIRST
    while found := (yield from hourly.page(wanted, after=after, limit=_HOURS_AT_ONCE)):
        n += sum(one.n for one in found if one.outcome != "none")
        after = found[-1][:-1]
    return n


class _ReadParts(NamedTuple):
    """What was read out of the store, besides the rows on disk."""

    rows: ReportRows
    happened: Happened
    served: InterceptedFound
    counted: int | None


def _write(
    asked: ReportAsked, folder: Path, had: _ReadParts, step: Progress
) -> tuple[FrozenData, str, str]:
    """Everything but the manifest; also the title and the citation."""
    work = folder / _WORK
    with frozen_rows(work / "rows.jsonl.gz", work) as frozen:
        step(1)
        served = had.served.table(had.rows.care), had.served.cut
        of = gathered(asked, frozen, had.happened, served, counted=had.counted)
        if not of.now["records"]:
            first, last = tables.period(asked)
            raise SettingsError(
                f"no measurements of {asked.country} from {first} to {last} in the store"
            )
        frozen.freeze(folder / "data.parquet", now=True)
        frozen.freeze(folder / "previous.parquet", now=False)
        step(1)
        _write_tables(folder / "tables", of, frozen)
        step(1)
    data = FrozenData(
        sha256=sha256_of(folder / "data.parquet"),
        records=of.now["records"],
        previous_records=of.before["records"],
        rulesets=of.rulesets,
        writer=f"duckdb {metadata.version('duckdb')}",
    )
    _write_certificates(folder / "certificates", of, had.served)
    with speaking(asked.language) as texts:
        title, citation = _write_page(folder, of, data, texts)
    step(1)
    return data, title, citation


def _write_tables(folder: Path, of: Gathered, frozen: FrozenRows) -> None:
    folder.mkdir()
    networks = of.networks
    found = (
        tables.summary(of.now, of.before, len(of.confirmed_sites)),
        tables.outcomes(of.outcomes),
        tables.interference(of.places),
        tables.measured(of.sites, networks),
        tables.mechanisms(of.mechanisms, networks),
        tables.events(of.events),
        tables.interceptions(of.interceptions),
        tables.by_day("throttling", of.rates, networks),
        tables.by_day("coverage", of.coverage, networks, of.asked.least),
        line_tables.heartbeats(of.heard, networks, of.asked),
        line_tables.gaps(of.heard, networks),
        line_tables.outages(of.events, of.silences, networks, of.asked),
        tables.changes(of.changes),
        tables.rules(of.rules),
    )
    for one in found:
        (folder / f"{one.name}.csv").write_bytes(one.csv())
    with (folder / "daily.csv").open("wb") as file:
        file.writelines(tables.daily(frozen.pages("daily")))


def _write_certificates(folder: Path, of: Gathered, served: InterceptedFound) -> None:
    """The intermediates of the interceptions."""
    named = {one.intermediate.sha256 for one in of.interceptions}
    known = sorted(sha256 for sha256 in named if sha256 and sha256 in served.ders)
    if known:
        folder.mkdir()
    for sha256 in known:
        text = ssl.DER_cert_to_PEM_cert(served.ders[sha256])
        (folder / f"{sha256}.pem").write_text(text, encoding="ascii")


def _write_page(
    folder: Path, of: Gathered, data: FrozenData, texts: ReportTexts
) -> tuple[str, str]:
    """The page, its charts and the notebook; returns the title and the citation."""
    drawn = drawings(of, texts)
    charts = folder / "charts"
    charts.mkdir()
    for one in drawn.all():
        (charts / f"{one.name}.svg").write_text(one.svg, encoding="utf-8")
    document = page.page(of, drawn, texts, sha256=data.sha256)
    (folder / "report.html").write_text(document, encoding="utf-8")
    title, citation = page.title(of, texts), page.citation(of, texts, sha256=data.sha256)
    (folder / "report.ipynb").write_bytes(notebook.notebook(title, citation))
    return title, citation


def _seal(folder: Path, asked: ReportAsked, found: tuple[FrozenData, str, str]) -> None:
    """The citation file, and last the manifest over all files."""
    data, title, citation = found
    (folder / "CITATION.cff").write_bytes(manifest.citation_file(asked, title, data))
    made = manifest.manifest(folder, asked, data, citation)
    (folder / "manifest.json").write_bytes(made)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside, which gets its name when everything was written.

    Raises:
        SettingsError: There is something of this name already, or nothing can be written there.
    """
    if folder.exists() or folder.is_symlink():
        raise SettingsError(f"{folder}: is there already; name a new folder")
    try:
        beside = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".partial", dir=folder.parent)
        )
    except OSError as error:
        raise SettingsError(f"{folder}: {error.strerror}") from error
    try:
        yield beside
        beside.chmod(0o755)
        beside.rename(folder)
    except OSError as error:
        raise SettingsError(f"{folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
