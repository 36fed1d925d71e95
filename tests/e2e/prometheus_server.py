"""A real Prometheus on loopback, with the project's configuration and short intervals."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = ROOT / "dashboards" / "prometheus"
BOARDS = {
    path.stem: json.loads(path.read_text())
    for path in (ROOT / "dashboards" / "grafana" / "dashboards").glob("*.json")
}


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def until(ready: Callable[[], object], seconds: float, what: Callable[[], str]) -> None:
    ends = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > ends:
            pytest.fail(what())
        time.sleep(0.3)


def answers(url: str) -> bool:
    try:
        get(url)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def program(log: Path, *command: object) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        started = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(15)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


@dataclass(frozen=True)
class PrometheusServer:
    """Where it is."""

    prometheus: str

    def api(self, path: str, **parameters: str) -> Any:
        text = get(f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expr: str) -> list[Any]:
        found: list[Any] = self.api("query", query=expr)["result"]
        return found


def configuration(
    folder: Path, collectors: Sequence[str], *, rules: str = f"{OURS}/rules/*.yml", alerts: str = ""
) -> Path:
    """The project's scrape configuration and rules, with short intervals.

    `alerts` is the address of an Alertmanager.
    """
    made = yaml.safe_load((OURS / "prometheus.yml").read_text())
    made["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    made["rule_files"] = [rules]
    (scrape,) = made["scrape_configs"]
    scrape["static_configs"] = [{"targets": list(collectors)}]
    if alerts:
        made["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alerts]}]}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(made))
    return folder / "prometheus.yml"


@contextmanager
def prometheus(folder: Path, config: Path) -> Iterator[PrometheusServer]:
    """Run a Prometheus with this configuration until the context ends."""
    at, log = f"127.0.0.1:{free_port()}", folder / "prometheus.log"
    command = ("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}")
    with program(log, *command, f"--web.listen-address={at}"):
        until(lambda: answers(f"http://{at}/-/ready"), 30, log.read_text)
        yield PrometheusServer(f"http://{at}")


def filled_in(expr: str, target: str, interval: str = "1m") -> str:
    """The query as Grafana would send it with everything chosen, and one target."""
    values = {"target": target, "__rate_interval": "10m", "__interval": interval}
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ".*"), expr)
