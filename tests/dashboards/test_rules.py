"""promtool checks the scrape configuration and the rules."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
RUNBOOK = FOLDER.parents[1] / "docs" / "runbook.md"
# External labels that links in alerts begin with.
BASES = {"collector", "operator", "runbook"}
promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt install prometheus"
)


def check_with_promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@promtool
def test_the_scrape_configuration_is_valid() -> None:
    check_with_promtool("check", "config", str(FOLDER / "prometheus.yml"))


@promtool
def test_the_rules_are_valid() -> None:
    check_with_promtool("check", "rules", *map(str, RULES))


@promtool
def test_the_rules_pass_their_own_tests() -> None:
    check_with_promtool("test", "rules", *map(str, sorted((FOLDER / "tests").glob("*_test.yml"))))


def test_every_alert_has_a_case_a_delay_a_severity_and_a_sentence() -> None:
    cases = (FOLDER / "tests" / "rules_test.yml").read_text()
    for rule in alerts():
        assert f"alertname: {rule['alert']}\n" in cases, rule["alert"]
        assert rule["for"]
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert set(rule["annotations"]) == {
            "summary",
            "description",
            "runbook_url",
            "explorer_url",
        }


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_has_a_section_of_the_runbook_with_the_four_answers(
    rule: dict[str, Any],
) -> None:
    base, anchor = rule["annotations"]["runbook_url"].split("#")
    assert base == '{{ or $externalLabels.runbook "docs/runbook.md" }}'
    assert anchor == rule["alert"].lower()
    sections = dict(
        re.findall(r"^## (\w+)$(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    )
    answers = re.findall(r"^\*\*([^*]+)\.\*\*", sections[rule["alert"]], re.MULTILINE)
    assert answers == ["It means", "Look first", "Do", "Ignore it"]


def test_the_runbook_tells_of_every_alert_once_and_of_no_other() -> None:
    told = re.findall(r"^## (Qaz\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(str(rule["alert"]) for rule in alerts())


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_leads_to_a_page_that_the_collector_has(rule: dict[str, Any]) -> None:
    routes = pytest.importorskip("collector.api.pages.routes", reason="needs the collector")
    link = " ".join(rule["annotations"]["explorer_url"].split())
    base = "operator" if rule["alert"].startswith("Qazcollector") else "collector"
    start = f"{{{{ $externalLabels.{base} }}}}"
    assert link.startswith(f"{start}/")
    path = re.sub(r"\{\{.*?\}\}", "9198", link.removeprefix(start)).partition("?")[0]
    known = {"operator": ["/admin", "/readyz"]}.get(base) or [one.path for one in routes.PAGES]
    assert any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), path) for one in known), link


@pytest.mark.parametrize("name", ["prometheus.yml", "with-alertmanager.yml"])
def test_what_links_begin_with_is_configured_and_no_label_of_a_message(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert set(yaml.safe_load(text)["global"]["external_labels"]) == BASES
    (dropped,) = re.findall(r"regex: ([\w|]+), action: labeldrop", text)
    assert set(dropped.split("|")) == BASES
    used = re.findall(r"\$externalLabels\.(\w+)", (FOLDER / "rules" / "alerts.yml").read_text())
    assert set(used) == BASES


def test_counts_of_events_are_compared_with_more_than_zero_and_never_read_as_rates() -> None:
    """They count what is under way or stored: there may be many, and a count may fall."""
    for name in ("recording.yml", "alerts.yml"):
        text = (FOLDER / "rules" / name).read_text()
        assert not re.search(r"==\s*1\b", text), name
        assert not re.search(r"(?:rate|increase)\([^)]*qazprobe_events?_", text), name


def test_suspected_events_alert_nobody() -> None:
    for name in ("recording.yml", "alerts.yml"):
        assert "suspected" not in re.sub(r"#.*", "", (FOLDER / "rules" / name).read_text())


@pytest.mark.skipif(
    shutil.which("amtool") is None,
    reason="amtool is not installed: apt install prometheus-alertmanager",
)
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=QazprobeEventBegan severity=critical kind=blocking country=KZ", "events"),
        ("alertname=QazprobeEventEnded severity=warning kind=shutdown country=KZ", "events"),
        ("alertname=QazprobeEvent severity=info kind=blocking country=KZ asn=9198", "nobody"),
        ("alertname=QazprobeProbesSilent severity=warning country=KZ asn=9198", "operator"),
        ("alertname=QazcollectorDown severity=critical", "operator"),
    ],
)
def test_alertmanager_sends_an_alert_to(labels: str, receiver: str) -> None:
    config = f"--config.file={FOLDER / 'alertmanager.yml'}"
    command = ("amtool", "config", "routes", "test", config, *labels.split())
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr


def test_an_event_of_a_kind_in_a_country_is_one_message() -> None:
    example = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    assert example["route"]["group_by"] == ["alertname", "kind", "country"]
    for rule in alerts():
        if rule["alert"] in {"QazprobeEventBegan", "QazprobeEventEnded"}:
            assert str(rule["expr"]).startswith("sum by (kind, country) ("), rule["alert"]
    named = {str(rule["alert"]) for rule in alerts()}
    words = re.findall(r'alertname=~?"([^"]+)"', (FOLDER / "alertmanager.yml").read_text())
    for word in words:
        assert any(re.fullmatch(word, name) for name in named), word


def test_recorded_names_have_level_metric_and_operation() -> None:
    groups = yaml.safe_load((FOLDER / "rules" / "recording.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", rule["record"])
