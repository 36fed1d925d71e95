"""compose.yaml is one that Docker understands, and gives nobody more than it has to."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from collector.cli import serve
from probe.command_line import cli

ROOT = Path(__file__).parents[2]
FILE = ROOT / "dashboards" / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
each = pytest.mark.parametrize("name", SERVICES)


def test_the_file_follows_the_schema_of_compose() -> None:
    checker = shutil.which("check-jsonschema") or str(ROOT / ".venv/bin/check-jsonschema")
    if not Path(checker).exists():
        pytest.skip("check-jsonschema, which has the schema, is not installed")
    command = [checker, "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_understands_the_file() -> None:
    docker = shutil.which("docker")
    words = [str(docker), "compose"]
    if (
        docker is None
        or subprocess.run([*words, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        [*words, "-f", FILE, "--profile", "control", "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_has_all_parts() -> None:
    assert set(SERVICES) == {"collector", "prometheus", "alertmanager", "grafana", "control"}


@each
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_only_the_collector_is_reachable_from_outside() -> None:
    for name, service in SERVICES.items():
        published = [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")]
        assert bool(published) == (name == "collector"), name
        assert service.get("network_mode") != "host"


def test_the_collector_speaks_tls_and_takes_nobody_without_an_invite() -> None:
    words = SERVICES["collector"]["command"]
    given = serve.make_context("serve", words[1:]).params
    assert given["tls_cert"]
    assert given["tls_key"]
    assert given["enrolment"] == "token"
    # Metrics and health stay on the loopback that Prometheus shares.
    assert given["admin_listen"] is None
    assert SERVICES["prometheus"]["network_mode"] == "service:collector"


def test_passwords_come_from_files_and_none_is_in_the_file() -> None:
    for name, service in SERVICES.items():
        given = service.get("environment", {})
        secret = [key for key in given if "PASSWORD" in key or "TOKEN" in key or "INVITE" in key]
        assert all(key.endswith("__FILE") for key in secret), name
        assert all(given[key].startswith("/run/secrets/") for key in secret), name
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def test_secrets_are_never_committed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    for secret in COMPOSE["secrets"].values():
        path = FILE.parent / secret["file"]
        done = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
        assert done.returncode == 0, path


@each
def test_what_is_mounted_or_built_is_there(name: str) -> None:
    service = SERVICES[name]
    for mount in service.get("volumes", ()):
        source = mount.split(":")[0]
        assert (
            (FILE.parent / source).exists()
            if source.startswith(".")
            else source in COMPOSE["volumes"]
        )
    if "build" in service:
        assert (FILE.parent / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_the_control_is_one_and_is_started_by_name() -> None:
    control = SERVICES["control"]
    assert control["profiles"] == ["control"]
    command = cli.get_command(click.Context(cli), "run")
    assert command is not None
    given = command.make_context("run", control["command"][1:], resilient_parsing=True).params
    assert given["every"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt install prometheus")
def test_prometheus_takes_its_configuration() -> None:
    file = ROOT / "dashboards" / "prometheus" / "with-alertmanager.yml"
    command = ["promtool", "check", "config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_configurations_of_prometheus_scrape_the_same() -> None:
    folder = ROOT / "dashboards" / "prometheus"
    plain, whole = (
        yaml.safe_load((folder / name).read_text())
        for name in ("prometheus.yml", "with-alertmanager.yml")
    )
    assert whole.pop("alerting")
    named = [one["global"].pop("external_labels") for one in (plain, whole)]
    assert whole == plain
    # Compose gives the values.
    assert named[0].keys() == named[1].keys()
    given = set(re.findall(r"\$\{(\w+)\}", " ".join(named[1].values())))
    assert given == set(SERVICES["prometheus"]["environment"])
