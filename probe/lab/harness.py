"""Run the real commands in a testbed: collector, control, probe.

Everything is done by commands and their options, as a person would do it. The results are the
records that the probe writes.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from probe.config import FILE
from probe.lab import commands
from probe.lab.scenario import ControlState, Expect
from probe.lab.testbed import NodeName

_PROBE = (sys.executable, "-c", "from probe.cli import main; main()")
_COLLECTOR = (sys.executable, "-c", "from collector.cli import main; main()")
_SLOW_CLOCK = (sys.executable, "-m", "probe.lab.late_clock")
_START_LIMIT = 20.0
_CONTROL_LIMIT = 240.0
_JUDGED_LIMIT = 60.0
_NOTHING_WAITS = "qazcollector_backlog_records 0.0\n"
_POLL = 0.05
_ANY_SITE = "https://www.debian.org/"
_CONNECT = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"


class LabTestbed(Protocol):
    """The interface of `NetnsTestbed` and `LoopbackTestbed`."""

    folder: Path

    @property
    def control_stays(self) -> bool: ...
    @property
    def ca_file(self) -> Path: ...
    @property
    def collector_url(self) -> str: ...
    @property
    def collector_listen(self) -> str: ...
    @property
    def bulk_listen(self) -> str: ...

    def url(self, url: str) -> str: ...
    def urls(self) -> tuple[str, ...]: ...
    def expect(self, url: str) -> Expect: ...
    def censor(self, *, on: bool) -> None: ...
    def options(self) -> dict[str, str]: ...
    def run(
        self,
        node: NodeName,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> commands.Finished: ...
    def spawn(
        self,
        node: NodeName,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> commands.Started: ...
    def wrap(self, node: NodeName, argv: Sequence[str]) -> list[str]: ...


class HarnessError(RuntimeError):
    """A command failed; the message has its output."""


@dataclass
class Harness:
    """Runs a collector, a control and a probe in one testbed.

    Attributes:
        collector: The command line of `qazcollector`.
    """

    testbed: LabTestbed
    collector: Sequence[str] = _COLLECTOR
    store: str = field(init=False)

    def __post_init__(self) -> None:
        self.store = f"sqlite:///{self.testbed.folder / 'collector.sqlite3'}"

    def start_collector(self, urls: Sequence[str]) -> None:
        """Start the collector with its embedded store, and wait until it accepts connections.

        `urls` are its listed targets: it shows them by name and accepts rechecks of them.
        """
        testbed = self.testbed
        listed = testbed.folder / "listed.txt"
        listed.write_text("".join(f"{url}\n" for url in _urls_of(urls)))
        serve = ["serve", "--listen", testbed.collector_listen, "--bulk", testbed.bulk_listen]
        more = ["--store", self.store, "--enrolment", "open", "--lab"]
        more += ["--targets", str(listed)]
        log = testbed.folder / "collector.log"
        process = testbed.spawn("internet", [*self.collector, *serve, *more], log=log)
        host, _, port = testbed.collector_url.removeprefix("http://").rpartition(":")
        connect = [sys.executable, "-c", _CONNECT, host, port]
        deadline = time.monotonic() + _START_LIMIT
        while testbed.run("internet", connect).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise HarnessError(f"the collector did not start: {log.read_text()[-2000:]}")
            time.sleep(_POLL)

    def start_control(
        self, urls: Sequence[str], *, stale: bool = False, experiments: Sequence[str] = ("web",)
    ) -> None:
        """Enrol a control, let it measure every URL, and leave it running to answer rechecks.

        `stale`: its clock is 45 minutes slow, so its measurements are stale; it answers no recheck.
        """
        found = self.testbed.folder / "control.jsonl"
        argv = [*self._run_argv("abroad", urls, found, role="control"), "-e", ",".join(experiments)]
        env = {**self._home("abroad"), "QAZPROBE_INVITE": self._invite()}
        log = self.testbed.folder / "control.log"
        if stale or not self.testbed.control_stays:
            command = [*(_SLOW_CLOCK if stale else _PROBE), *argv]
            self.testbed.censor(on=False)
            finished = self.testbed.run("abroad", command, env=env, timeout=_CONTROL_LIMIT)
            self.testbed.censor(on=True)
            _checked_output(finished, "the control")
            return
        process = self.testbed.spawn("abroad", [*_PROBE, *argv, "--every", "5m"], env=env, log=log)
        deadline = time.monotonic() + _CONTROL_LIMIT
        while not _finished(found):
            if process.poll() is not None or time.monotonic() > deadline:
                raise HarnessError(f"the control did not finish: {log.read_text()[-2000:]}")
            time.sleep(_POLL)
        time.sleep(1.0)  # its upload follows its last record

    def consent(self) -> None:
        """Give consent on the volunteer's behalf."""
        argv = [*_PROBE, "consent", "--yes"]
        _checked_output(self.testbed.run("client", argv, env=self._home("client")), "consent")

    def configure(self, settings: str) -> None:
        """Write the volunteer's `qazprobe.toml`."""
        home = Path(self._home("client")["QAZPROBE_HOME"])
        (home / FILE).write_text(settings)

    def probe_argv(self, urls: Sequence[str], found: Path, *more: str) -> list[str]:
        """The command line of the volunteer's run."""
        # A laboratory has none of the sites of the other experiments of a profile.
        pages = () if "-e" in more or "--profile" in more else ("-e", "web")
        return [*_PROBE, *self._run_argv("client", urls, found), *pages, *more]

    def probe(
        self, urls: Sequence[str], *more: str, timeout: float = 600.0
    ) -> list[dict[str, object]]:
        """Run the probe behind the censor and return its records."""
        found = self.testbed.folder / "records.jsonl"
        found.unlink(missing_ok=True)
        argv = self.probe_argv(urls, found, "--quiet", *more)
        finished = self.testbed.run("client", argv, env=self._home("client"), timeout=timeout)
        if finished.returncode not in {0, 3, 4}:
            raise HarnessError(
                f"the probe exited with {finished.returncode}: {finished.stderr[-2000:]}"
            )
        return list(records(found))

    def probe_env(self) -> dict[str, str]:
        """The environment of the volunteer's run."""
        return self._home("client")

    def metrics(self) -> str:
        """The collector's exposition, as Prometheus scrapes it, when all records are judged."""
        deadline = time.monotonic() + _JUDGED_LIMIT
        while _NOTHING_WAITS not in self._scrape() and time.monotonic() < deadline:
            time.sleep(_POLL)
        return self._scrape()

    def _scrape(self) -> str:
        fetch = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        url = f"{self.testbed.collector_url}/metrics"
        return self.testbed.run("internet", [sys.executable, "-c", fetch, url]).stdout

    def _invite(self) -> str:
        argv = [*_COLLECTOR, "enroll", "--store", self.store, "--role", "control"]
        return (
            _checked_output(self.testbed.run("internet", argv), "enroll").strip().splitlines()[-1]
        )

    def _home(self, node: NodeName) -> dict[str, str]:
        home = self.testbed.folder / f"home-{node}"
        home.mkdir(exist_ok=True)
        return {
            "QAZPROBE_HOME": str(home),
            "QAZPROBE_ACCEPT_RISK": "trace,tor,openvpn,wireguard,vpn",  # nothing leaves the lab
            **self.testbed.options(),
        }

    def _run_argv(
        self, node: NodeName, urls: Sequence[str], found: Path, *, role: str = "probe"
    ) -> list[str]:
        targets = self.testbed.folder / f"targets-{node}.txt"
        targets.write_text("".join(f"{url}\n" for url in _urls_of(urls)))
        lab = ["--lab", "--ca-file", str(self.testbed.ca_file)]
        collector = ["--collector", self.testbed.collector_url]
        return [
            "run",
            "--targets",
            str(targets),
            "-o",
            str(found),
            "--role",
            role,
            *lab,
            *collector,
        ]


def _urls_of(inputs: Sequence[str]) -> list[str]:
    """The URLs among the inputs of scenarios, or any URL if there are only services."""
    return [one for one in inputs if "://" in one] or [_ANY_SITE]


@contextmanager
def start_harness(
    testbed: LabTestbed,
    control: ControlState,
    urls: Sequence[str],
    experiments: Sequence[str] = ("web",),
    settings: str = "",
) -> Iterator[Harness]:
    """A harness with a running collector, a control unless there is none, and consent."""
    harness = Harness(testbed)
    harness.start_collector(urls)
    if control is not ControlState.NONE:
        harness.start_control(urls, stale=control is ControlState.STALE, experiments=experiments)
    harness.consent()
    harness.configure(settings)
    yield harness


def records(path: Path) -> Iterator[dict[str, object]]:
    """The records in a file up to the first incomplete line."""
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return


def _finished(path: Path) -> bool:
    return any(record.get("experiment") == "run" for record in records(path))


def _checked_output(finished: commands.Finished, what: str) -> str:
    if finished.returncode:
        raise HarnessError(f"{what} exited with {finished.returncode}: {finished.stderr[-2000:]}")
    return finished.stdout
