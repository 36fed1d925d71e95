"""A real Prometheus on loopback, with the project's configuration and short intervals."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = ROOT / "dashboards" / "prometheus"
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
# Six hours become 36 seconds; eight seconds are the shortest time that holds enough samples.
FASTER, LEAST = 600.0, 8.0
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
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
    made["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    made["global"]["external_labels"]["collector"] = f"http://{collectors[0]}"
    made["rule_files"] = [rules]
    (scrape,) = made["scrape_configs"]
    scrape["static_configs"] = [{"targets": list(collectors)}]
    if alerts:
        made["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alerts]}]}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(made))
    return folder / "prometheus.yml"


def faster(expr: str) -> str:
    """The expression with shorter durations."""

    def shorter(found: re.Match[str]) -> str:
        seconds = float(found[1]) * UNITS[found[2]] / FASTER
        return f"{round(max(LEAST, seconds) * 1000)}ms"

    return re.sub(r"\b(\d+)([smhd])\b", shorter, expr)


def fast_rules(folder: Path) -> str:
    """Write the rules without delays; a glob of them."""
    for path in sorted((OURS / "rules").glob("*.yml")):
        made = yaml.safe_load(path.read_text())
        for rule in (rule for group in made["groups"] for rule in group["rules"]):
            rule["expr"] = faster(rule["expr"])
            if "for" in rule:
                rule["for"] = "0s"
        (folder / path.name).write_text(yaml.safe_dump(made))
    return f"{folder}/*.yml"


@contextmanager
def prometheus(folder: Path, config: Path) -> Iterator[PrometheusServer]:
    """Run a Prometheus with this configuration until the context ends."""
    at, log = f"127.0.0.1:{free_port()}", folder / "prometheus.log"
    command = ("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}")
    with program(log, *command, f"--web.listen-address={at}"):
        until(lambda: answers(f"http://{at}/-/ready"), 30, log.read_text)
        yield PrometheusServer(f"http://{at}")


@contextmanager
def alertmanager(folder: Path, messages: list[list[dict[str, str]]]) -> Iterator[str]:
    """Run the example's Alertmanager, with short intervals; its messages go into the list."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = {"receiver": self.path.strip("/")}
            messages.append([one["labels"] | path for one in body["alerts"]])
            self.send_response(200)
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        example = (OURS / "alertmanager.yml").read_text()
        example = example.replace("127.0.0.1:5001", f"127.0.0.1:{server.server_port}")
        config = folder / "alertmanager.yml"
        config.write_text(re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", example))
        at, log = f"127.0.0.1:{free_port()}", folder / "alertmanager.log"
        command = (ALERTMANAGER, f"--config.file={config}", f"--storage.path={folder / 'am'}")
        with program(log, *command, f"--web.listen-address={at}", "--cluster.listen-address="):
            until(lambda: answers(f"http://{at}/-/ready"), 30, log.read_text)
            yield at
        server.shutdown()


def filled_in(expr: str, target: str, interval: str = "1m") -> str:
    """The query as Grafana would send it with everything chosen, one target and one network."""
    values = {"target": target, "asn": "9198", "__rate_interval": "10m", "__interval": interval}
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ".*"), expr)
