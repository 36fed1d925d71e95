"""Interception from end to end: probe, control, collector, and what people read of it."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from probe.lab.catalogue import catalogue
from probe.lab.commands import Finished
from probe.lab.harness import _PROBE, Harness, stage
from probe.lab.scenario import ControlState
from probe.lab.testbed import NetnsTestbed, obstacle

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(obstacle() is not None, reason=f"no namespaces: {obstacle()}"),
]
PLAYED = ("mitm.2019", "mitm.2021", "mitm.ways_old_box", "mitm.ways_expired", "innocent.fine")
OLD, NEW = "opened-letters.com", "read-by-others.ru"
BOX, LAPSED, FINE = "old-box-on-the-way.org", "lapsed-in-every-way.org", "ordinary-day.org"
FETCH = """
import sys, urllib.request as r
print(r.urlopen(sys.argv[1]).read().decode())
"""


@dataclass
class Seen:
    stage: Harness
    country: NetnsTestbed
    records: dict[tuple[str, str], dict[str, object]]

    def reasons(self, experiment: str, name: str) -> dict[str, str]:
        verdict = self.records[experiment, f"https://{name}/"]["verdict"]
        assert isinstance(verdict, dict)
        return {rule["id"]: rule["reason"] for rule in verdict["rules"]}

    def results(self, *arguments: str) -> Finished:
        argv = [*_PROBE, "results", *arguments]
        return self.country.run("client", argv, env=self.stage.probe_env())

    def ask(self, path: str) -> str:
        url = f"{self.country.collector_url}{path}"
        said = self.country.run("internet", [sys.executable, "-c", FETCH, url])
        assert said.returncode == 0, said.stderr
        return said.stdout


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    played = [each for each in catalogue() if each.name in PLAYED]
    with (
        NetnsTestbed(played) as country,
        stage(country, ControlState.FRESH, country.urls()) as ready,
    ):
        records = ready.probe(country.urls(), "-e", "web,mitm")
        found = {(str(one["experiment"]), str(one["input"])): one for one in records}
        yield Seen(ready, country, found)


def test_the_system_of_2019_is_known_by_its_copies_without_any_list(seen: Seen) -> None:
    told = seen.reasons("web", OLD)
    assert next(iter(told)) == "tls.copied_like_2019"
    assert "tls.copied_like_2019" not in seen.reasons("web", NEW)


def test_each_way_is_reported_in_a_sentence(seen: Seen) -> None:
    told = seen.reasons("mitm", BOX)
    assert told["mitm.tls_versions"] == "TLS 1.2: intercepted. TLS 1.3: left alone."
    assert told["mitm.alpn"].endswith("Without ALPN: left alone.")
    assert "mitm.only_at_its_address" in told
    assert "mitm.name_alone_suffices" not in told
    old = seen.reasons("mitm", OLD)
    assert old["mitm.tls_versions"] == "TLS 1.2: intercepted. TLS 1.3: intercepted."
    assert "-6 hours" in old["mitm.copies_the_origin"]
    assert old["mitm.handwriting"].startswith("The interceptor's answers are made as 771,")


def test_a_broken_origin_is_re_signed_as_it_is(seen: Seen) -> None:
    told = seen.reasons("mitm", LAPSED)["mitm.origin_is_broken"]
    assert told == (
        "The site's own certificate has expired; the same dates are signed by the interceptor."
    )


def test_where_nobody_is_between_nothing_is_said(seen: Seen) -> None:
    assert not any(id_.startswith("mitm.") for id_ in seen.reasons("mitm", FINE))


def test_a_journalist_sees_both_certificates_and_gets_them_as_files(
    seen: Seen, tmp_path: Path
) -> None:
    record = str(seen.records["web", f"https://{OLD}/"]["id"])
    said = seen.results("show", record, "--pem", str(tmp_path)).stdout
    assert "the site's own CN=L3,O=Laboratory Encrypt,C=US" in said
    assert "moved by -6 hours: it is a copy" in said
    assert "What it means:" in said
    (forged,) = tmp_path.glob("untrusted-*.pem")
    (true,) = tmp_path.glob("trusted-*.pem")
    chain = x509.load_pem_x509_certificates(forged.read_bytes())
    own = x509.load_pem_x509_certificate(true.read_bytes())
    assert len(chain) == 2
    assert chain[0].subject == own.subject
    assert chain[0].public_key() != own.public_key()


def test_the_collector_tells_the_table_and_gives_the_certificates(seen: Seen) -> None:
    told = json.loads(seen.ask("/v1/interceptions"))["interceptions"]
    by_authority = {one["authority"]: one for one in told}
    assert set(by_authority) == {"kz.qaznet", "kz.isca"}
    assert {one["proof"] for one in told} == {"claimed"}
    assert by_authority["kz.qaznet"]["names"] == [OLD]
    assert by_authority["kz.isca"]["names"] == sorted([NEW, BOX, LAPSED])
    pem = seen.ask(by_authority["kz.isca"]["intermediate"]["pem"])
    assert "ISCA node 4" in x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()
    lines = list(csv.DictReader(io.StringIO(seen.ask("/v1/export/interceptions"))))
    assert {line["authority"] for line in lines} == {"kz.qaznet", "kz.isca"}
    series = [one for one in seen.stage.metrics().splitlines() if "tls_interception{" in one]
    assert {'authority="kz.qaznet"', 'authority="kz.isca"'} == {
        part for one in series for part in one.replace("}", ",").split(",") if "authority" in part
    }


def test_a_collector_that_is_intercepted_gets_nothing_and_that_is_said(
    seen: Seen, tmp_path: Path
) -> None:
    home, found = tmp_path / "home", tmp_path / "records.jsonl"
    env = {**seen.stage.probe_env(), "QAZPROBE_HOME": str(home)}
    home.mkdir()
    assert seen.country.run("client", [*_PROBE, "consent", "--yes"], env=env).returncode == 0
    lab = ["--lab", "--ca-file", str(seen.country.ca_file)]
    argv = [*_PROBE, "run", f"https://{FINE}/", "-o", str(found), *lab]
    said = seen.country.run("client", [*argv, "--collector", f"https://{OLD}"], env=env)
    assert said.returncode == 4, said.stderr
    assert "not uploaded, kept for later" in said.stderr
    assert f"https://{OLD}" in said.stderr
    assert "certificate" in said.stderr  # and why
    kept = [json.loads(line) for line in found.read_text().splitlines()]
    assert [one["verdict"]["outcome"] for one in kept if one["verdict"]] == ["ok"]
    spooled = [path for path in home.rglob("*") if "spool" in str(path) and path.is_file()]
    assert any(path.stat().st_size > 500 for path in spooled)
