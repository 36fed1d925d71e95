"""The operator's commands besides serve and enroll, on a filled store."""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from collector.admin.rejudge import rejudge
from collector.admin.retention import retire
from collector.cli import cli
from collector.settings import SettingsError
from collector.store import Store, StoreError, queries
from probe import codec
from probe.model import Mechanism, Outcome, Record, Vantage, Verdict
from tests.collector.harness import LISTED, believe, collector, now, record, select, settings


def command(folder: Path, *arguments: str) -> Result:
    options = ("--store", settings(folder).store)
    return CliRunner().invoke(cli, [arguments[0], *options, *arguments[1:]])


def fill(folder: Path, *records: Record) -> dict[str, float]:
    async def scenario() -> dict[str, float]:
        async with collector(folder) as harness:
            await (await harness.probe()).send(*records)
            return counted(await harness.metrics())

    return asyncio.run(scenario())


def shown(folder: Path) -> dict[str, float]:
    async def scenario() -> dict[str, float]:
        async with collector(folder) as harness:
            return counted(await harness.metrics())

    return asyncio.run(scenario())


def counted(series: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in series.items() if name.startswith("qazprobe_")}


def test_stored_records_are_judged_again_by_other_rules(tmp_path: Path) -> None:
    def stricter(judged: Record) -> Verdict:
        verdict = believe(judged)
        if verdict.outcome is Outcome.OK and judged.control:
            return Verdict(outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_RESET,))
        return verdict

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            probe, control = await harness.probe(), await harness.probe("control")
            await probe.send(record(), record(), record("https://other.example/"))
            # An observation that arrives later is evidence too.
            late = record(vantage=Vantage(role="control"), started_at=now(-60))
            await control.send(late)
            store = harness.service.store
            done = await rejudge(store, stricter, since=0.0, now=2e9)
            assert (done.judged, done.changed) == (4, 2)
            harness.service.snapshots.touch()
            series = counted(await harness.metrics())
            where = 'country="KZ",asn="9198"'
            name = "qazprobe_measurements_total"
            assert series[f'{name}{{experiment="web",outcome="blocked",{where}}}'] == 2
            assert series[f'{name}{{experiment="web",outcome="ok",{where}}}'] == 1
            target = f'target="listed.example",category="NEWS",{where}'
            assert series[f'qazprobe_target_outcome{{{target},outcome="blocked"}}'] == 1
            votes = await store.read(
                select("votes_of_day", first=0, after=10**9, target="", last="~")
            )
            assert {row[4] for row in votes if row[1] == "listed.example"} == {"blocked"}
            # A second time changes nothing.
            again = await rejudge(store, stricter, since=0.0, now=2e9)
            assert again.changed == 0
            # With the first rules the counts are the same as before.
            assert (await rejudge(store, believe, since=0.0, now=2e9)).changed == 2

    asyncio.run(scenario())


def test_an_exported_and_imported_store_has_the_same_metrics(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    before = fill(old, record(), record("https://unlisted.example/"))
    file = tmp_path / "all.jsonl"
    assert command(old, "export", "-o", str(file)).exit_code == 0
    assert len(file.read_bytes().splitlines()) == 2
    targets = ("--targets", settings(new).targets[0])
    done = command(new, "import", str(file), *targets)
    assert (done.exit_code, done.output) == (0, f"{file}: 2 stored, all new\n")
    done = command(new, "import", str(file), *targets)
    assert done.output == f"{file}: 0 stored, 2 were there\n"
    after = shown(new)
    # Imported records do not make a probe active.
    alive = {name for name in before if "probes_active" in name}
    assert set(before) - alive >= set(after) - alive
    rows = command(new, "export", "--format", "csv").output.splitlines()
    assert len(rows) == 3


def test_a_bad_line_is_named_and_the_rest_imported(tmp_path: Path) -> None:
    file = tmp_path / "mixed.jsonl"
    lines = [codec.encode(record()), b"{}", b"", codec.encode(record(lab=True))]
    file.write_bytes(b"\n".join(lines))
    done = command(tmp_path, "import", str(file))
    assert done.exit_code == 1
    assert f"{file}:2: " in done.output
    assert f"{file}:4: lab record" in done.output
    assert f"{file}: 1 stored, 2 refused\n" in done.output


def test_retention_drops_evidence_then_records_and_keeps_counts(tmp_path: Path) -> None:
    day = 86400.0

    async def kept(store: Store) -> list[int]:
        rows = await store.read(select("count_all"))
        return list(rows[0][:2])

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            old = record(started_at=now(-100 * day), certs={})
            await sender.send(old, record(started_at=now(-40 * day)), record())
            before = sum(v for n, v in (await harness.metrics()).items() if "ments_total" in n)
            store, clock = harness.service.store, harness.service.clock()
            done = await retire(
                store, now=clock, raw_before=clock - 30 * day, before=clock - 90 * day
            )
            assert (done.records, done.evidence) == (1, 1)
            assert await kept(store) == [2, 1]
            after = await harness.metrics()
            assert sum(v for n, v in after.items() if "ments_total" in n) == before == 3
            # A record without evidence is still listed.
            page = await store.read(queries.page(queries.Selection(), cursor=None, limit=9))
            reply = await harness.ask("GET", f"/v1/measurements/{page[-1].id}")
            assert (reply.status, reply.data["record"]) == (200, None)
            assert len((await harness.ask("GET", "/v1/export")).body.splitlines()) == 1

    asyncio.run(scenario())
    done = command(tmp_path, "retention", "--days", "30")
    assert done.output == "1 records dropped, the evidence of 0 others\n"


def test_retention_refuses_a_clock_that_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, record(), record())
    monkeypatch.setattr("time.time", lambda: 2_100_000_000.0)
    refused = command(tmp_path, "retention", "--days", "30")
    assert isinstance(refused.exception, SettingsError)
    assert str(refused.exception).startswith("the clock says 2036-07-18, and the newest")
    assert refused.output == ""
    done = command(tmp_path, "retention", "--days", "30", "--trust-clock")
    assert done.output == "2 records dropped, the evidence of 0 others\n"


def test_doctor_reports_passed_and_failed_checks(tmp_path: Path) -> None:
    fill(tmp_path, record())
    done = command(tmp_path, "doctor")
    assert done.exit_code == 0, done.output
    assert "1 records, 1 with evidence, 1 probes" in done.output
    # What can be done is said where something is to be done.
    assert not [line for line in done.output.splitlines() if line.startswith("ok") and "→" in line]

    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection:
        connection.execute("DELETE FROM total")
        connection.commit()
    done = command(tmp_path, "doctor")
    assert done.exit_code == 1
    assert "BAD  counts" in done.output


def test_an_asn_table_is_made_from_text(tmp_path: Path) -> None:
    source, target = tmp_path / "ip2asn.tsv", tmp_path / "table"
    source.write_text("2.132.0.0\t2.135.255.255\t9198\tKZ\tKAZTELECOM\n")
    done = CliRunner().invoke(cli, ["asn-table", str(source), str(target)])
    assert (done.exit_code, done.output) == (0, "4 ranges\n")
    assert target.stat().st_size < 200


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_doctor_fails_on_a_read_only_store(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = command(tmp_path, "doctor")
    assert done.exit_code != 0


def test_records_are_exported_in_the_order_of_arrival(tmp_path: Path) -> None:
    sent = [record(LISTED) for _ in range(3)]
    fill(tmp_path, *sent)
    output = command(tmp_path, "export").stdout_bytes.splitlines()
    assert [msgspec.json.decode(line, type=Record).id for line in output] == [r.id for r in sent]


@pytest.mark.parametrize(
    "words",
    [
        ["keys"],
        ["exclude", "x", "--since", "2026-01-01", "--reason", "y"],
        ["include", "x"],
        ["rejudge"],
        ["export"],
        ["retention", "--days", "30"],
        ["doctor"],
    ],
    ids=lambda words: words[0],
)
def test_a_mistyped_store_is_an_error_and_not_an_empty_store(
    tmp_path: Path, words: list[str]
) -> None:
    file = tmp_path / "mistyped" / "store.sqlite3"
    done = CliRunner().invoke(cli, [*words, "--store", f"sqlite:///{file}"])
    assert isinstance(done.exception, StoreError), done.output
    assert str(done.exception) == f"store {file}: is not there"
    assert not file.parent.exists()
