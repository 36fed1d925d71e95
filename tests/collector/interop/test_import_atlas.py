"""`qazcollector import --format atlas`: RIPE Atlas's results beside what probes measure."""

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest
from click.testing import CliRunner, Result

from collector.cli import cli
from collector.store import open_store, queries
from collector.store.queries import Selection

THEN = int(time.time()) - 3 * 365 * 86_400


def dns_result(probe: int, at: int = THEN) -> dict[str, Any]:
    reply = dns.message.make_response(dns.message.make_query("listed.example", "A"))
    reply.answer.append(dns.rrset.from_text("listed.example.", 60, "IN", "A", "93.184.216.34"))
    return {
        "type": "dns",
        "from": "203.0.113.9",
        "msm_id": 7,
        "prb_id": probe,
        "timestamp": at,
        "dst_addr": "8.8.8.8",
        "result": {"abuf": base64.b64encode(reply.to_wire()).decode(), "rt": 12},
    }


def call(url: str, *words: str) -> Result:
    return CliRunner().invoke(cli, ["import", "--store", url, "--format", "atlas", *words])


def lines(file: Path, *results: object) -> Path:
    file.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in results))
    return file


def stored(url: str) -> list[Any]:
    async def read() -> list[Any]:
        store = await open_store(url)
        try:
            return list(await store.read(queries.page(Selection(), cursor=None, limit=100)))
        finally:
            await store.close()

    return asyncio.run(read())


def test_results_are_kept_with_their_place_and_have_no_vote(tmp_path: Path, any_store: str) -> None:
    probes = tmp_path / "probes.json"
    probes.write_text('{"objects":[{"id":1,"asn_v4":9198,"country_code":"KZ"}]}')
    file = lines(
        tmp_path / "a.jsonl",
        dns_result(1),
        dns_result(2),
        {**dns_result(3), "type": "ping"},
        "{broken",
        {"type": "dns", "msm_id": 1, "prb_id": 1, "timestamp": THEN},
    )
    done = call(any_store, str(file), "--probes", str(probes), "--as", "atlas")
    assert done.exit_code == 1
    said = f"{file}: 2 stored, 2 refused, 1 of other kinds left out; without a vote\n"
    assert said in done.stdout
    assert f"{file}:4: " in done.stderr
    assert f"{file}:5: what was asked is not in it" in done.stderr
    rows = stored(any_store)
    assert sorted((row.country, row.asn) for row in rows) == [("KZ", 9198), ("ZZ", 0)]
    assert {row.voting for row in rows} == {0}
    assert {row.experiment for row in rows} == {"dns"}
    again = call(any_store, str(file), "--as", "atlas")
    assert "0 stored, 2 were there" in again.stdout


def test_a_document_of_the_api_is_read_and_its_whole_is_refused_in_one_line(
    tmp_path: Path, any_store: str
) -> None:
    file = tmp_path / "api.json"
    file.write_text(json.dumps([dns_result(1), dns_result(2)], indent=1))
    assert call(any_store, str(file)).exit_code == 0
    for text in ("[" * 10_000, "<html>", ""):
        file.write_text(text)
        done = call(any_store, str(file))
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert len(done.stderr.splitlines()) <= 1


@pytest.mark.parametrize("text", ["{", "[1]", '{"objects":[{"id":"x"}]}', "[" * 10_000])
def test_a_wrong_list_of_probes_is_one_line(tmp_path: Path, text: str) -> None:
    probes = tmp_path / "probes.json"
    probes.write_text(text)
    file = lines(tmp_path / "a.jsonl", dns_result(1))
    url = f"sqlite:///{tmp_path / 's.sqlite3'}"
    done = call(url, str(file), "--probes", str(probes))
    assert done.exit_code != 0
    assert "no list of Atlas probes" in str(done.exception) + done.output


def test_probes_are_an_option_of_atlas_alone(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["import", "--probes", "x", str(tmp_path / "y")])
    assert "--probes: only with --format atlas" in str(done.exception) + done.output
