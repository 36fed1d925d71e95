"""promtool checks the scrape configuration and the rules."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt install prometheus"
)


def run(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load((FOLDER / "rules" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@promtool
def test_the_scrape_configuration_is_valid() -> None:
    run("check", "config", str(FOLDER / "prometheus.yml"))


@promtool
def test_the_rules_are_valid() -> None:
    run("check", "rules", *map(str, RULES))


@promtool
def test_the_rules_pass_their_own_tests() -> None:
    run("test", "rules", str(FOLDER / "tests" / "rules_test.yml"))


def test_every_alert_has_a_case_a_delay_a_severity_and_a_sentence() -> None:
    cases = (FOLDER / "tests" / "rules_test.yml").read_text()
    for rule in alerts():
        assert f"alertname: {rule['alert']}\n" in cases, rule["alert"]
        assert rule["for"]
        assert rule["labels"]["severity"] in {"warning", "critical"}  # type: ignore[index]
        assert set(rule["annotations"]) == {"summary", "description"}  # type: ignore[call-overload]


def test_recorded_names_have_level_metric_and_operation() -> None:
    groups = yaml.safe_load((FOLDER / "rules" / "recording.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", rule["record"])
