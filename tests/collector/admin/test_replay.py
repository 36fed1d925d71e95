"""Replay: the same events from a store and from every file, compared with what was stored."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bench.history_world import World
from collector.admin.replay import compared
from collector.admin.replay_looks import Measured, SortedLooks
from collector.cli import cli
from collector.events import storage
from collector.events.engine import replay
from collector.events.model import EventState, Look, TargetEvent
from collector.events.reconcile import StoredEvent
from collector.events.timeline import Rules
from collector.standing import EVERYBODY, KeyStanding, Standings
from collector.store import open_store
from collector.store.measurements import MeasurementRow
from tests.collector.admin.stored_rows import FINE, NOON, fill, key_id, looks, row, url_of
from tests.collector.harness import collector, now

ROOT = Path(__file__).parents[3]
HOUR = 3600.0
FILES = ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.parquet")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["events", "replay", *words])


def events_of(source: str, *options: str) -> list[dict[str, object]]:
    done = run("--from", source, "--format", "json", *options)
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)["events"]
    # Which records of an event are named depends on the order of the keys' pseudonyms.
    left_out = {"change", "evidence"}
    return [{name: value for name, value in one.items() if name not in left_out} for one in found]


def file_of(folder: Path, name: str, *options: str) -> str:
    path = folder / name
    words = ["export", "--store", url_of(folder), "-o", str(path), *options]
    done = CliRunner().invoke(cli, words)
    if isinstance(done.exception, ModuleNotFoundError):
        pytest.skip(f"{done.exception.name} is not installed")
    assert done.exit_code == 0, done.exception
    return str(path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_events_of_its_store(tmp_path: Path, name: str) -> None:
    store = fill(tmp_path, looks())
    told = events_of(store, "--quorum", "2")
    assert [(one["kind"], one["state"], one["probes"]) for one in told] == [
        ("blocking", "confirmed", {"agree": 3, "able": 3})
    ]
    assert events_of(file_of(tmp_path, name), "--quorum", "2") == told


def test_the_quorum_decides(tmp_path: Path) -> None:
    store = fill(tmp_path, looks())
    states = [events_of(store, "--quorum", str(n))[0]["state"] for n in (2, 3, 4)]
    assert states == ["confirmed", "confirmed", "suspected"]


def test_what_does_not_count_in_a_collector_does_not_count_here(tmp_path: Path) -> None:
    rows = [
        *(msgspec.structs.replace(one, voting=0) for one in looks("a")),
        *(msgspec.structs.replace(one, role="control") for one in looks("b")),
        *(msgspec.structs.replace(one, target="unlisted") for one in looks("c")),
        *(msgspec.structs.replace(one, outcome="inconclusive") for one in looks("d")),
    ]
    rows = [msgspec.structs.replace(one, id=f"{n:08}-0000-0000-0000-000000000000")
            for n, one in enumerate(rows)]  # fmt: skip
    store = fill(tmp_path, rows)
    assert events_of(store, "--quorum", "1") == []
    assert events_of(file_of(tmp_path, "a.csv"), "--quorum", "1") == []


def test_of_an_hour_the_newest_look_counts(tmp_path: Path) -> None:
    """As in a collector, which keeps one vote for each key, target, experiment and hour."""
    wrong = [row(900 + n, key, NOON + 60 * n) for n, key in enumerate("abc")]
    fine = [row(910 + n, key, NOON + 1800 + 60 * n, **FINE) for n, key in enumerate("abc")]
    assert events_of(fill(tmp_path, [*wrong, *fine]), "--quorum", "2") == []


def test_measurements_of_connectivity_are_of_the_line(tmp_path: Path) -> None:
    cut = {"outcome": "blocked", "mechanisms": "access.whitelist", "experiment": "connectivity"}
    rows = [
        row(n * 10 + turn, key, NOON + turn * HOUR, **{**cut, **(FINE if turn < 2 else {})})
        for n, key in enumerate("abc")
        for turn in range(5)
    ]
    store = fill(tmp_path, rows)
    told = events_of(store, "--quorum", "2")
    assert [(one["kind"], one["target"]) for one in told] == [("whitelist", None)]
    assert events_of(file_of(tmp_path, "a.csv"), "--quorum", "2") == told


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--target", "listed.example"], 1),
        (["--target", "other.example"], 0),
        (["--asn", "9198"], 1),
        (["--asn", "48503"], 0),
        (["--until", "2026-11-25T12:00:00Z"], 0),
        (["--window", "1"], 1),
    ],
)
def test_looks_can_be_selected(tmp_path: Path, options: list[str], expected: int) -> None:
    store = fill(tmp_path, looks())
    for source in (store, file_of(tmp_path, "a.csv")):
        assert len(events_of(source, "--quorum", "2", *options)) == expected


def test_a_window_begins_so_long_before_the_newest_look(tmp_path: Path) -> None:
    store = fill(tmp_path, looks())
    (told,) = events_of(store, "--quorum", "2", "--window", "1")
    assert told["began"] == {"after": None, "by": "2026-11-26T04:20:00.000Z"}


# --- compared with stored events -----------------------------------------------------------------


def stored(folder: Path, events: Iterable[StoredEvent]) -> None:
    async def work() -> None:
        store = await open_store(url_of(folder))
        await store.write(storage.put([*events]))
        await store.close()

    asyncio.run(work())


def seen(rows: Iterable[MeasurementRow], quorum: int) -> list[TargetEvent]:
    found = [
        Look(one.at, one.id, one.key_id, one.experiment, one.target, one.country, one.asn,
             one.outcome, one.mechanisms, one.authority, one.confidence)
        for one in rows
    ]  # fmt: skip
    return replay(found, Rules(quorum, EVERYBODY))


def changes(source: str, *options: str) -> list[tuple[str, str]]:
    done = run("--from", source, "--format", "json", *options)
    assert done.exit_code == 0, done.exception
    return [(one["change"], one["target"]) for one in json.loads(done.stdout)["events"]]


def test_a_store_is_compared_with_its_own_events(tmp_path: Path) -> None:
    rows = looks()
    store = fill(tmp_path, rows)
    assert changes(store, "--quorum", "2") == [("appeared", "listed.example")]
    (event,) = seen(rows, 2)
    gone = msgspec.structs.replace(rows[-1], target="gone.example")
    (other,) = seen([msgspec.structs.replace(one, target=gone.target) for one in rows], 2)
    stored(tmp_path, [StoredEvent("e1", event, 0.0), StoredEvent("e2", other, 0.0)])
    assert sorted(changes(store, "--quorum", "2")) == [
        ("same", "listed.example"),
        ("vanished", "gone.example"),
    ]
    assert ("changed", "listed.example") in changes(store, "--quorum", "4")
    shown = run("--from", store, "--quorum", "4").stdout.splitlines()
    assert sorted(line[0] for line in shown) == [" ", "-", "~"]
    assert [line for line in shown if line[0] == "~" and "stored: state was confirmed" in line]


def test_a_serving_collector_keeps_the_events_of_a_replay(tmp_path: Path) -> None:
    """Also when its looks arrive in another order than that of their time."""
    shift = int((time.time() - NOON) // HOUR - 72) * HOUR
    rows = [moved(one, shift) for one in looks("abcd")]
    rows += [
        msgspec.structs.replace(
            moved(one, shift), target="other.example", id=f"{n:08}-{one.id[9:]}"
        )
        for n, one in enumerate(looks("ab", first=30.0), 1)
    ]
    random.Random(4).shuffle(rows)
    store = fill(tmp_path, rows)

    async def serve() -> None:
        async with collector(tmp_path, quorum=2) as harness:
            await harness.service.events.keep()

    asyncio.run(serve())
    assert sorted(changes(store, "--quorum", "2")) == [
        ("same", "listed.example"),
        ("same", "other.example"),
    ]
    assert ("changed", "listed.example") in changes(store, "--quorum", "5")


def moved(one: MeasurementRow, seconds: float) -> MeasurementRow:
    return msgspec.structs.replace(
        one, at=one.at + seconds, received_at=int(one.at + seconds), started_at=now(-3600)
    )


def test_a_file_is_compared_with_a_store_or_with_events_in_json(tmp_path: Path) -> None:
    rows = looks()
    store = fill(tmp_path, rows)
    (event,) = seen(rows, 2)
    stored(tmp_path, [StoredEvent("e1", event, 0.0)])
    file = file_of(tmp_path, "a.csv")
    assert changes(file, "--quorum", "2", "--against", store) == [("same", "listed.example")]
    told = {"events": [{**one, "id": "e1"} for one in events_of(store, "--quorum", "2")]}
    (tmp_path / "events.json").write_text(json.dumps(told))
    against = ("--against", str(tmp_path / "events.json"))
    assert changes(file, "--quorum", "2", *against) == [("same", "listed.example")]
    assert changes(file, "--quorum", "4", *against) == [("changed", "listed.example")]
    # As the public sees it where few probes are: outwards to whole hours.
    told["events"][0]["began"] = {"after": "2026-11-25T16:00:00Z", "by": "2026-11-25T22:00:00Z"}
    (tmp_path / "events.json").write_text(json.dumps(told))
    assert changes(file, "--quorum", "2", *against) == [("same", "listed.example")]
    (tmp_path / "events.json").write_text(json.dumps({**told, "next": "abc"}))
    assert "first of several pages" in str(run("--from", file, *against).exception)


def test_events_that_only_heartbeats_show_are_not_compared(tmp_path: Path) -> None:
    rows = looks()
    store = fill(tmp_path, rows)
    (event,) = seen(rows, 2)
    beats = StoredEvent("e1", replace(event, sources=("heartbeats",)), 0.0)
    stored(tmp_path, [beats])
    assert changes(store, "--quorum", "2") == [("appeared", "listed.example")]


def test_what_is_older_than_the_looks_did_not_vanish() -> None:
    (event,) = seen(looks(), 2)
    ended = replace(event, state=EventState.ENDED, ended=event.began)
    old = StoredEvent("e1", ended, 0.0)
    assert [one.change for one in compared([], [old], since=0.0)] == ["vanished"]
    assert compared([], [old], since=event.began.by + 1) == []


# --- whose looks count ---------------------------------------------------------------------------


def test_keys_of_one_origin_have_one_vote_in_a_file_too(tmp_path: Path) -> None:
    rows = looks("ab")
    fill(tmp_path, rows)
    file = Path(file_of(tmp_path, "a.csv"))
    assert events_of(str(file), "--quorum", "2")[0]["state"] == "confirmed"
    lines = file.read_text().replace(",,vouched,", ",same,vouched,")
    file.write_text(lines)
    (told,) = events_of(str(file), "--quorum", "2")
    assert (told["state"], told["probes"]) == ("suspected", {"agree": 1, "able": 1})
    assert events_of(str(file), "--quorum", "2", "--everybody")[0]["state"] == "confirmed"


def test_strangers_have_no_vote_and_earned_ones_do_not_speak_alone(tmp_path: Path) -> None:
    fill(tmp_path, looks("ab"))
    file = Path(file_of(tmp_path, "a.csv"))
    text = file.read_text()
    file.write_text(text.replace(",vouched,", ",stranger,"))
    assert events_of(str(file), "--quorum", "1") == []
    file.write_text(text.replace(",vouched,", ",earned,"))
    assert events_of(str(file), "--quorum", "2")[0]["state"] == "confirmed"


def test_the_words_of_standing_are_those_of_the_keys() -> None:
    keys = [
        KeyStanding("a"),
        KeyStanding("b", way="open", enrolled_at=0.0, agreed_days=9),
        KeyStanding("c", way="open", enrolled_at=0.0),
    ]
    standings = Standings(keys, now=1e9)
    assert [standings.word(key) for key in "abcd"] == ["vouched", "earned", "stranger", "stranger"]


# --- hostile and broken files --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{}\n", "has no column id"),
        ("a.jsonl", b"nothing\n", "a.jsonl:1: no record"),
        ("a.csv", b"id,key\n1,2\n", "has no column origin"),
        ("a.txt", b"", ".jsonl, .csv"),
        ("a.jsonl.gz", b"no gzip", "cannot be read"),
        ("a.parquet", b"no parquet", "cannot be read"),
        ("a.csv", b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_is_no_export_is_said(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("duckdb")
    (tmp_path / name).write_bytes(content)
    done = run("--from", str(tmp_path / name))
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "cannot be read" in str(run("--from", str(tmp_path / "a.csv")).exception)
    assert "is not there" in str(run("--from", f"sqlite:///{tmp_path}/none").exception)


def test_a_cell_that_is_no_number_is_said(tmp_path: Path) -> None:
    fill(tmp_path, looks("a"))
    file = Path(file_of(tmp_path, "a.csv"))
    file.write_text(file.read_text().replace(",9198,", ",x,"))
    assert "a.csv:2: no exported row" in str(run("--from", str(file)).exception)


# --- worlds, and memory --------------------------------------------------------------------------


def test_sorted_on_disk_looks_are_those_of_the_engine() -> None:
    """Every hour has at most one look of a key at a target, so none is left out."""
    world = World(3, days=20, networks=2, targets=8)
    every = [*world.looks()]
    kept = {(int(one.at // HOUR), *one[2:5]): one for one in sorted(every)}
    spool = SortedLooks()
    spool.add(map(Measured, every))
    rules = Rules(2, EVERYBODY)
    found = [event for _, place in spool.places() for event in replay(place, rules)]
    assert found == replay(kept.values(), rules)
    spool.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    sizes = []
    for targets in (10, 40):
        folder = tmp_path / str(targets)
        folder.mkdir()
        raw = row(0).raw
        rows = [
            row(n, key_id(str(n % 7))[:8], NOON + n * 60, raw=raw, target=f"t{n % targets}.example")
            for n in range(targets * 250)
        ]
        fill(folder, rows)
        sizes.append(_peak(file_of(folder, "a.csv")))
    assert sizes[1] < 1.25 * sizes[0]


def _peak(source: str) -> int:
    code = (
        "import resource, sys; from collector.cli import cli;"
        "cli(sys.argv[1:], standalone_mode=False);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    words = [sys.executable, "-c", code, "events", "replay", "--from", source]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    return int(done.stdout.splitlines()[-1])
