"""Interception from end to end: probe, control, collector, and their output."""

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
from probe.lab.harness import _PROBE, Harness, start_harness
from probe.lab.scenario import ControlState
from probe.lab.testbed import NetnsTestbed, unavailable_reason

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]
NAMES = ("mitm.2019", "mitm.2021", "mitm.ways_old_box", "mitm.ways_expired", "innocent.fine")
OLD, NEW = "opened-letters.com", "read-by-others.ru"
OLD_BOX, LAPSED, FINE = "old-box-on-the-way.org", "lapsed-in-every-way.org", "ordinary-day.org"
FETCH = """
import sys, urllib.request as r
print(r.urlopen(sys.argv[1]).read().decode())
"""


@dataclass
class MitmRun:
    harness: Harness
    testbed: NetnsTestbed
    records: dict[tuple[str, str], dict[str, object]]

    def reasons(self, experiment: str, name: str) -> dict[str, str]:
        verdict = self.records[experiment, f"https://{name}/"]["verdict"]
        assert isinstance(verdict, dict)
        return {rule["id"]: rule["reason"] for rule in verdict["rules"]}

    def results(self, *arguments: str) -> Finished:
        argv = [*_PROBE, "results", *arguments]
        return self.testbed.run("client", argv, env=self.harness.probe_env())

    def get(self, path: str) -> str:
        url = f"{self.testbed.collector_url}{path}"
        finished = self.testbed.run("internet", [sys.executable, "-c", FETCH, url])
        assert finished.returncode == 0, finished.stderr
        return finished.stdout


@pytest.fixture(scope="module")
def mitm_run() -> Iterator[MitmRun]:
    scenarios = [each for each in catalogue() if each.name in NAMES]
    with (
        NetnsTestbed(scenarios) as testbed,
        start_harness(testbed, ControlState.FRESH, testbed.urls()) as harness,
    ):
        records = harness.probe(testbed.urls(), "-e", "web,mitm")
        found = {(str(one["experiment"]), str(one["input"])): one for one in records}
        yield MitmRun(harness, testbed, found)


def test_the_interceptor_of_2019_is_recognised_by_its_copies_without_a_list(
    mitm_run: MitmRun,
) -> None:
    reasons = mitm_run.reasons("web", OLD)
    assert next(iter(reasons)) == "tls.copied_like_2019"
    assert "tls.copied_like_2019" not in mitm_run.reasons("web", NEW)


def test_each_offer_is_reported_in_a_sentence(mitm_run: MitmRun) -> None:
    reasons = mitm_run.reasons("mitm", OLD_BOX)
    assert reasons["mitm.tls_versions"] == "TLS 1.2: intercepted. TLS 1.3: not intercepted."
    assert reasons["mitm.alpn"].endswith("Without ALPN: not intercepted.")
    assert "mitm.only_at_its_address" in reasons
    assert "mitm.name_alone_suffices" not in reasons
    old = mitm_run.reasons("mitm", OLD)
    assert old["mitm.tls_versions"] == "TLS 1.2: intercepted. TLS 1.3: intercepted."
    assert "-6 hours" in old["mitm.copies_the_origin"]
    assert old["mitm.handwriting"].startswith("The interceptor's ServerHello is 771,")


def test_a_broken_origin_is_re_signed_as_it_is(mitm_run: MitmRun) -> None:
    reasons = mitm_run.reasons("mitm", LAPSED)["mitm.origin_is_broken"]
    assert reasons == (
        "The site's own certificate has expired; the interceptor signs the same dates."
    )


def test_without_interception_no_mitm_rule_matches(mitm_run: MitmRun) -> None:
    assert not any(id_.startswith("mitm.") for id_ in mitm_run.reasons("mitm", FINE))


def test_results_show_prints_both_certificates_and_writes_them_to_files(
    mitm_run: MitmRun, tmp_path: Path
) -> None:
    record = str(mitm_run.records["web", f"https://{OLD}/"]["id"])
    finished = mitm_run.results("show", record, "--pem", str(tmp_path)).stdout
    assert "the site's own  CN=L3,O=Laboratory Encrypt,C=US" in finished
    assert "shifted by -6 hours: it is a copy" in finished
    assert "What it means:" in finished
    (forged,) = tmp_path.glob("untrusted-*.pem")
    (true,) = tmp_path.glob("trusted-*.pem")
    chain = x509.load_pem_x509_certificates(forged.read_bytes())
    own = x509.load_pem_x509_certificate(true.read_bytes())
    assert len(chain) == 2
    assert chain[0].subject == own.subject
    assert chain[0].public_key() != own.public_key()


def test_the_collector_serves_the_table_and_the_certificates(mitm_run: MitmRun) -> None:
    reasons = json.loads(mitm_run.get("/v1/interceptions"))["interceptions"]
    by_authority = {one["authority"]: one for one in reasons}
    assert set(by_authority) == {"kz.qaznet", "kz.isca"}
    assert {one["proof"] for one in reasons} == {"claimed"}
    assert by_authority["kz.qaznet"]["names"] == [OLD]
    assert by_authority["kz.isca"]["names"] == sorted([NEW, OLD_BOX, LAPSED])
    pem = mitm_run.get(by_authority["kz.isca"]["intermediate"]["pem"])
    assert "ISCA node 4" in x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()
    lines = list(csv.DictReader(io.StringIO(mitm_run.get("/v1/export/interceptions"))))
    assert {line["authority"] for line in lines} == {"kz.qaznet", "kz.isca"}
    series = [one for one in mitm_run.harness.metrics().splitlines() if "tls_interception{" in one]
    assert {'authority="kz.qaznet"', 'authority="kz.isca"'} == {
        part for one in series for part in one.replace("}", ",").split(",") if "authority" in part
    }


def test_nothing_is_uploaded_to_an_intercepted_collector_and_a_message_says_so(
    mitm_run: MitmRun, tmp_path: Path
) -> None:
    home, found = tmp_path / "home", tmp_path / "records.jsonl"
    env = {**mitm_run.harness.probe_env(), "QAZPROBE_HOME": str(home)}
    home.mkdir()
    assert mitm_run.testbed.run("client", [*_PROBE, "consent", "--yes"], env=env).returncode == 0
    lab = ["--lab", "--ca-file", str(mitm_run.testbed.ca_file)]
    argv = [*_PROBE, "run", "-e", "web", f"https://{FINE}/", "-o", str(found), *lab]
    finished = mitm_run.testbed.run("client", [*argv, "--collector", f"https://{OLD}"], env=env)
    assert finished.returncode == 4, finished.stderr
    assert "not uploaded, kept for later" in finished.stderr
    assert f"https://{OLD}" in finished.stderr
    assert "certificate" in finished.stderr  # and why
    kept = [json.loads(line) for line in found.read_text().splitlines()]
    assert [one["verdict"]["outcome"] for one in kept if one["verdict"]] == ["ok"]
    spooled = [path for path in home.rglob("*") if "spool" in str(path) and path.is_file()]
    assert any(path.stat().st_size > 500 for path in spooled)
