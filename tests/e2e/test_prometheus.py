"""A real Prometheus scrapes a real collector, and every panel of every dashboard has an answer."""

import base64
import math
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from probe import codec
from probe.api_types import EnrolReply, EnrolRequest, Heartbeat
from probe.model import Record
from tests.e2e.prometheus_server import (
    BOARDS,
    OURS,
    ROOT,
    PrometheusServer,
    answers,
    configuration,
    filled_in,
    free_port,
    get,
    program,
    prometheus,
    until,
)
from tests.e2e.sample_records import (
    BLOCKED,
    FINE,
    INTERCEPTED,
    blocked,
    earlier,
    everything,
    name_of,
)

pytest.importorskip("collector.cli", reason="the collector's command needs its extra")
pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus here: apt install prometheus"
)

METRIC = re.compile(r"\b(?:qazprobe|qazcollector)_[a-z_]+")

# Panels of which four equal probes give nothing to show, each with its reason. With data of a
# fortnight test_boards_of_a_fortnight.py sees every one of them.
NO_CUT = "no line is cut here"
NO_THROTTLING = "one slow site is a quorum of blocking first"
KNOWN_EMPTY: dict[str, str] = {
    "qazprobe-outages/Who is heard/Networks with few probes/A": "four probes are enough",
    "qazprobe-outages/Cuts/Shutdowns and whitelists/A": NO_CUT,
    "qazprobe-outages/Cuts/Cuts that began and ended/A": NO_CUT,
    "qazprobe-outages/Cuts/Cuts that began and ended/B": NO_CUT,
    "qazprobe-outages/Cuts/Cuts so far/A": NO_CUT,
    "qazprobe-throttling/Now/Throttled by a quorum/A": NO_THROTTLING,
    "qazprobe-throttling/Over time/Events/A": NO_THROTTLING,
    "qazprobe-throttling/Over time/Events that began and ended/A": NO_THROTTLING,
    "qazprobe-throttling/Over time/Events that began and ended/B": NO_THROTTLING,
    "qazprobe-throttling/Over time/Events so far/A": NO_THROTTLING,
    "qazprobe-interception/Over time/Events that began and ended/B": "no interception ended",
    "qazprobe-collector/Requests and refusals/Refused in a day/A": "nothing was refused before",
    "qazprobe-site/Not counted/Keys that are not trusted yet/A": "a laboratory trusts every key",
}
# Served only while there are any.
UNSERVED = {"qazprobe_stranger_outcome"}
# Recorded from a quarter of an hour ago; test_alerts.py sees it with faster rules.
NEEDS_HISTORY = {"country_asn:qazprobe_probes_heard:p25_1h"}


# --- a probe, a collector, a Prometheus ----------------------------------------------------------


@dataclass(frozen=True)
class Sender:
    """An enrolled probe as a collector sees one: a key, and requests signed by it."""

    url: str
    key: Ed25519PrivateKey
    collector_id: str

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def enrol(cls, url: str) -> "Sender":
        unknown = cls(url, Ed25519PrivateKey.generate(), "")
        proof = unknown.key.sign(codec.enrol_bytes(unknown.public, None, "probe"))
        request = EnrolRequest(
            key=base64.b64encode(unknown.public).decode(), proof=base64.b64encode(proof).decode()
        )
        body = codec.encode(request)
        reply = cls.post(f"{url}/v1/enroll", body, {"Content-Type": "application/json"})
        known = msgspec.json.decode(reply, type=EnrolReply)
        return cls(url, unknown.key, known.collector_id)

    def beat(self) -> bytes:
        body = codec.encode(Heartbeat(country="KZ", asn=9198, region="KZ-75"))
        return self._signed("/v1/heartbeat", body, "application/json")

    def send(self, records: list[Record], *, spoil: bool = False) -> bytes:
        body = codec.pack(map(codec.encode, records))
        return self._signed("/v1/measurements", body, codec.BATCH_TYPE, spoil=spoil)

    def _signed(self, path: str, body: bytes, type_: str, *, spoil: bool = False) -> bytes:
        created = str(int(time.time()))
        signed = codec.signed_bytes(self.collector_id, "POST", path, created, body)
        headers = {
            "Content-Type": type_,
            "Qaz-Key": codec.key_id(self.public),
            "Qaz-Created": created,
            "Qaz-Signature": base64.b64encode(self.key.sign(signed)).decode(),
        }
        return self.post(self.url + path, body + b"x" * spoil, headers)

    @staticmethod
    def post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())


@dataclass(frozen=True)
class Stack(PrometheusServer):
    """Where the two servers are."""

    collector: str


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    collector = f"127.0.0.1:{free_port()}"
    serve = ("serve", "--listen", collector, "--store", f"sqlite:///{folder}/store.sqlite3")
    start = "import sys; from collector.cli import main; sys.exit(main())"
    log = folder / "collector.log"
    with program(
        log, sys.executable, "-c", start, *serve, "--enrolment", "open", "--lab"
    ) as served:
        until(
            lambda: served.poll() is not None or answers(f"http://{collector}/readyz"),
            30,
            log.read_text,
        )
        assert served.poll() is None, log.read_text()
        senders = [Sender.enrol(f"http://{collector}") for _ in range(4)]
        for sender in senders:
            sender.beat()
            # Of an event that is over: blocked in the morning, and not any more.
            sender.send([earlier(FINE, blocked(FINE), hours) for hours in (8, 5)])
            sender.send(everything())
        with prometheus(folder, configuration(folder, [collector])) as server:
            made = Stack(server.prometheus, f"http://{collector}")
            until(lambda: made.query('up{job="qazcollector"} == 1'), 30, lambda: "never up")
            for sender in senders:
                sender.send(everything())
                with pytest.raises(urllib.error.HTTPError) as refused:
                    sender.send(everything(), spoil=True)
                refused.value.close()
            yield made


# --- the dashboards ------------------------------------------------------------------------------


def panel_queries() -> Iterator[tuple[str, str]]:
    for name, board in BOARDS.items():
        heading = ""
        for panel in board["panels"]:
            heading = panel["title"] if panel["type"] == "row" else heading
            for target in panel.get("targets", ()):
                yield f"{name}/{heading}/{panel['title']}/{target['refId']}", target["expr"]


QUERIES = dict(panel_queries())


def has_number(result: list[Any]) -> bool:
    return any(not math.isnan(float(one["value"][1])) for one in result)


@pytest.mark.parametrize("panel", QUERIES)
def test_every_panel_has_an_answer(stack: Stack, panel: str) -> None:
    wanted = [filled_in(QUERIES[panel], name_of(url)) for url in (BLOCKED, INTERCEPTED)]

    def answered() -> bool:
        return any(has_number(stack.query(expr)) for expr in wanted)

    if panel in KNOWN_EMPTY:
        assert not answered(), f"{panel} has data now: take it off the list"
        pytest.skip(KNOWN_EMPTY[panel])
    until(answered, 20, lambda: f"{panel}: nothing for {wanted}")


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_has_values(stack: Stack, name: str) -> None:
    queries = [one for one in BOARDS[name]["templating"]["list"] if one["type"] == "query"]
    for variable in queries:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert found is not None
        values = stack.api(
            f"label/{found[2]}/values", **{"match[]": filled_in(found[1], name_of(BLOCKED))}
        )
        assert values, variable["name"]


def test_every_metric_that_is_shown_or_judged_is_served(stack: Stack) -> None:
    rules = list((OURS / "rules").glob("*.yml"))
    recorded = re.compile(r"\w+:(?:qazprobe|qazcollector)_\w+:\w+")
    texts = [
        *(recorded.sub("", expr) for expr in QUERIES.values()),
        *(recorded.sub("", yaml_.read_text()) for yaml_ in rules),
    ]
    named = {metric for text in texts for metric in METRIC.findall(text)}
    groups = {group["name"] for one in rules for group in yaml.safe_load(one.read_text())["groups"]}

    def missing() -> set[str]:
        served = get(f"{stack.collector}/metrics").decode()
        found = {one for one in named if re.search(rf"^{one}[{{ ]", served, re.MULTILINE)}
        return named - groups - found - UNSERVED

    until(lambda: not missing(), 20, lambda: str(missing()))


def test_every_metric_that_is_served_is_explained(stack: Stack) -> None:
    served = get(f"{stack.collector}/metrics").decode()
    page = (ROOT / "docs" / "metrics.md").read_text()
    ours = set(re.findall(r"^# TYPE ((?:qazprobe|qazcollector)_\w+)", served, re.MULTILINE))
    assert {name for name in ours if f"`{name}" not in page} == set()


def test_prometheus_finds_nothing_wrong_with_the_metrics(stack: Stack) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=get(f"{stack.collector}/metrics"),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_can_be_evaluated(stack: Stack) -> None:
    def unhealthy() -> list[str]:
        groups = stack.api("rules")["groups"]
        return [
            f"{rule['name']}: {rule.get('lastError')}"
            for group in groups
            for rule in group["rules"]
            if rule["health"] != "ok"
        ]

    until(lambda: not unhealthy(), 20, lambda: str(unhealthy()))


def test_what_was_recorded_by_rule_has_values(stack: Stack) -> None:
    recording = OURS / "rules" / "recording.yml"
    groups = yaml.safe_load(recording.read_text())["groups"]
    names = {rule["record"] for group in groups for rule in group["rules"]} - NEEDS_HISTORY

    def silent() -> list[str]:
        return [name for name in sorted(names) if not has_number(stack.query(name))]

    until(lambda: not silent(), 20, lambda: str(silent()))


def test_the_numbers_are_what_was_sent(stack: Stack) -> None:
    target = f'target="{name_of(BLOCKED)}"'
    until(
        lambda: stack.query(f'qazprobe_target_outcome{{{target}, outcome="blocked"}} == 4'),
        20,
        lambda: get(f"{stack.collector}/metrics").decode(),
    )
    assert stack.query("sum(qazprobe_probes_active) == 4")
    assert stack.query(f"qazprobe_target_mechanism{{{target}, mechanism='tls.timeout'}} == 4")
    assert stack.query('qazprobe_tls_interception{authority="kz.qaznet.2016"} == 4')
