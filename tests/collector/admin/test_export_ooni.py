"""The collector's exports in OONI's format: its own findings, pseudonyms, nothing coarse."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from collector.admin.export_ooni import as_found
from collector.cli import cli
from collector.settings import SettingsError
from probe import codec
from probe.interop.ooni.kept import record_in
from probe.model import Mechanism, Outcome, Vantage
from tests.collector.admin.stored_rows import NOON, fill, key_id, row, url_of
from tests.collector.harness import record


def export(folder: Path, *options: str) -> Result:
    done = CliRunner().invoke(
        cli, ["export", "--format", "ooni", "--store", url_of(folder), *options]
    )
    assert done.exit_code == 0, done.output
    return done


def measurements(done: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout_bytes.splitlines()]


def test_the_place_and_the_verdict_are_the_collector_s(tmp_path: Path) -> None:
    fill(tmp_path, [row(1)])
    done = export(tmp_path)
    (found,) = measurements(done)
    assert (found["probe_cc"], found["probe_asn"]) == ("KZ", "AS9198")
    assert found["probe_network_name"] == "JSC Kazakhtelecom"
    keys = found["test_keys"]
    assert (keys["accessible"], keys["blocking"]) == (False, "http-failure")
    assert keys["x_qazprobe"]["verdict"]["outcome"] == "ok"  # what the probe claimed
    assert keys["x_qazprobe"]["collector"]["outcome"] == "blocked"
    assert done.stderr == "1 measurements in OONI's format\n"


def test_the_record_comes_back_as_from_any_export(tmp_path: Path) -> None:
    fill(tmp_path, [row(1)])
    options = ("--release", "one")
    plain = CliRunner().invoke(cli, ["export", "--store", url_of(tmp_path), *options])
    back = record_in(export(tmp_path, *options).stdout_bytes)
    assert back == codec.decode(plain.stdout_bytes.strip())
    assert key_id("a") not in export(tmp_path).stdout


def test_a_folder_of_buckets_and_a_file(tmp_path: Path) -> None:
    fill(tmp_path, [row(1), row(2, at=NOON + 3600)])
    export(tmp_path, "-o", str(tmp_path / "out"))
    files = sorted((tmp_path / "out").rglob("*.jsonl.gz"))
    name = "2026112511_KZ_webconnectivity.qazprobe.0.jsonl.gz"
    assert files[1] == tmp_path / "out/raw/20261125/11/KZ/webconnectivity" / name
    export(tmp_path, "-o", str(tmp_path / "all.jsonl.gz"))
    lines = gzip.decompress((tmp_path / "all.jsonl.gz").read_bytes()).splitlines()
    assert len(lines) == len(files) == 2


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    rows = [
        row(1),
        row(2, experiment="throttle", raw=packed(2, "throttle")),
        row(3, country="", asn=0),
        row(4, role="control"),
    ]
    fill(tmp_path, rows)
    done = export(tmp_path)
    assert len(measurements(done)) == 1
    assert "left out: 1 (throttle: OONI has no experiment of this meaning)" in done.stderr
    assert "left out: 1 (ZZ: its country is not known)" in done.stderr
    assert "left out: 1 (made by a control machine, on an uncensored network)" in done.stderr


def packed(number: int, experiment: str, at: str = "2026-11-25T10:00:00.000Z") -> bytes:
    name = f"00000000-0000-0000-0000-{number:012}"
    sent = record(id=name, experiment=experiment, started_at=at)
    return zlib.compress(codec.encode(sent), 1)


def test_in_public_what_is_coarse_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, [row(1)])
    done = export(tmp_path, "--public")
    assert measurements(done) == []
    assert "left out: 1 (shown to the hour only)" in done.stderr


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, [row(1)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    options = ["export", "--format", "ooni", "--store", url_of(tmp_path)]
    done = CliRunner().invoke(cli, [*options, "-o", str(tmp_path / "out")])
    assert isinstance(done.exception, SettingsError)
    assert "not empty" in str(done.exception)


@pytest.mark.parametrize(
    ("rule", "first"), [("tls.timeout_here", "tls.timeout"), ("dns.lies", "dns.nxdomain")]
)
def test_the_deciding_rule_s_mechanism_comes_first(rule: str, first: str) -> None:
    columns = {"outcome": "blocked", "mechanisms": "dns.nxdomain tls.timeout", "rule": rule}
    found = as_found(replace(record(), collector=columns)).verdict
    assert found is not None
    assert found.mechanisms[0] == first


def test_a_record_that_the_collector_has_not_judged_has_no_verdict() -> None:
    assert as_found(replace(record(), collector={"outcome": ""})).verdict is None


def test_a_probe_whose_clock_is_wrong_is_put_right(tmp_path: Path) -> None:
    claimed = "2020-01-01T00:00:00.000Z"
    fill(tmp_path, [row(1, started_at=claimed, raw=packed(1, "web", claimed))])
    (found,) = measurements(export(tmp_path))
    assert found["measurement_start_time"] == "2026-11-25 10:00:00"
    assert found["test_keys"]["x_qazprobe"]["started_at"] == claimed


def test_what_the_probe_says_of_its_place_does_not_count() -> None:
    claimed = replace(record(), vantage=Vantage(country="DE", asn=1), collector={"asn": 9198})
    place = as_found(claimed).vantage
    assert (place.country, place.asn) == (None, 9198)
    judged = {"outcome": "intercepted", "mechanisms": "tls.mitm of_next_year"}
    verdict = as_found(replace(record(), collector=judged)).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.mechanisms) == (Outcome.INTERCEPTED, (Mechanism.TLS_MITM,))
