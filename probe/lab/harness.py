"""Run the real commands in a country (or on the street): collector, control, probe.

Everything here is done as a person would do it: by the commands, with their options. What comes
back are the records the probe wrote.
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
from probe.lab.testbed import Where

_PROBE = (sys.executable, "-c", "from probe.cli import main; main()")
_COLLECTOR = (sys.executable, "-c", "from collector.cli import main; main()")
_STALE = (sys.executable, "-m", "probe.lab.late_clock")
_START_LIMIT = 20.0
_CONTROL_LIMIT = 240.0
_POLL = 0.05
_ANY_SITE = "https://www.debian.org/"
_KNOCK = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"


class Ground(Protocol):
    """Where commands can be run: a `NetnsTestbed`, or a `LoopbackTestbed`."""

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
        where: Where,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> commands.Finished: ...
    def spawn(
        self,
        where: Where,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> commands.Started: ...
    def wrap(self, where: Where, argv: Sequence[str]) -> list[str]: ...


class StageError(RuntimeError):
    """A command of the line did not do what it should; the message has what it said."""


@dataclass
class Harness:
    """One country with a collector in it, ready for controls and probes.

    Attributes:
        collector: How its command is started.
    """

    ground: Ground
    collector: Sequence[str] = _COLLECTOR
    store: str = field(init=False)

    def __post_init__(self) -> None:
        self.store = f"sqlite:///{self.ground.folder / 'collector.sqlite3'}"

    def start_collector(self, urls: Sequence[str]) -> None:
        """Start the collector with its embedded store, and wait until it takes connections.

        `urls` are its listed targets: those it shows by name, and lets be rechecked.
        """
        ground = self.ground
        listed = ground.folder / "listed.txt"
        listed.write_text("".join(f"{url}\n" for url in _sites(urls)))
        serve = ["serve", "--listen", ground.collector_listen, "--bulk", ground.bulk_listen]
        more = ["--store", self.store, "--enrolment", "open", "--lab"]
        more += ["--targets", str(listed)]
        log = ground.folder / "collector.log"
        process = ground.spawn("internet", [*self.collector, *serve, *more], log=log)
        host, _, port = ground.collector_url.removeprefix("http://").rpartition(":")
        knock = [sys.executable, "-c", _KNOCK, host, port]
        deadline = time.monotonic() + _START_LIMIT
        while ground.run("internet", knock).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StageError(f"the collector did not start: {log.read_text()[-2000:]}")
            time.sleep(_POLL)

    def start_control(
        self, urls: Sequence[str], *, stale: bool = False, looks: Sequence[str] = ("web",)
    ) -> None:
        """Enrol a control, let it look at every URL, and leave it there to answer rechecks.

        `stale`: its clock is 45 minutes late, so that everything it says is old; it answers none.
        """
        found = self.ground.folder / "control.jsonl"
        argv = [*self._run_argv("abroad", urls, found, role="control"), "-e", ",".join(looks)]
        env = {**self._home("abroad"), "QAZPROBE_INVITE": self._invite()}
        log = self.ground.folder / "control.log"
        if stale or not self.ground.control_stays:
            command = [*(_STALE if stale else _PROBE), *argv]
            self.ground.censor(on=False)
            said = self.ground.run("abroad", command, env=env, timeout=_CONTROL_LIMIT)
            self.ground.censor(on=True)
            _accept(said, "the control")
            return
        process = self.ground.spawn("abroad", [*_PROBE, *argv, "--every", "5m"], env=env, log=log)
        deadline = time.monotonic() + _CONTROL_LIMIT
        while not _finished(found):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StageError(f"the control did not finish: {log.read_text()[-2000:]}")
            time.sleep(_POLL)
        time.sleep(1.0)  # its upload follows its last record

    def consent(self) -> None:
        """Say yes on the volunteer's behalf: nobody is at risk here."""
        argv = [*_PROBE, "consent", "--yes"]
        _accept(self.ground.run("client", argv, env=self._home("client")), "consent")

    def configure(self, settings: str) -> None:
        """What the volunteer has in `qazprobe.toml`."""
        home = Path(self._home("client")["QAZPROBE_HOME"])
        (home / FILE).write_text(settings)

    def probe_argv(self, urls: Sequence[str], found: Path, *more: str) -> list[str]:
        """The command line of the volunteer's run."""
        return [*_PROBE, *self._run_argv("client", urls, found), *more]

    def probe(
        self, urls: Sequence[str], *more: str, timeout: float = 600.0
    ) -> list[dict[str, object]]:
        """Run the probe behind the censor and give back its records."""
        found = self.ground.folder / "records.jsonl"
        found.unlink(missing_ok=True)
        argv = self.probe_argv(urls, found, "--quiet", *more)
        said = self.ground.run("client", argv, env=self._home("client"), timeout=timeout)
        if said.returncode not in {0, 3, 4}:
            raise StageError(f"the probe exited with {said.returncode}: {said.stderr[-2000:]}")
        return list(records(found))

    def probe_env(self) -> dict[str, str]:
        """The environment of the volunteer's run."""
        return self._home("client")

    def metrics(self) -> str:
        """What Prometheus would scrape."""
        fetch = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        url = f"{self.ground.collector_url}/metrics"
        return self.ground.run("internet", [sys.executable, "-c", fetch, url]).stdout

    def _invite(self) -> str:
        argv = [*_COLLECTOR, "enroll", "--store", self.store, "--role", "control"]
        return _accept(self.ground.run("internet", argv), "enroll").strip().splitlines()[-1]

    def _home(self, where: Where) -> dict[str, str]:
        home = self.ground.folder / f"home-{where}"
        home.mkdir(exist_ok=True)
        return {"QAZPROBE_HOME": str(home), **self.ground.options()}

    def _run_argv(
        self, where: Where, urls: Sequence[str], found: Path, *, role: str = "probe"
    ) -> list[str]:
        targets = self.ground.folder / f"targets-{where}.txt"
        targets.write_text("".join(f"{url}\n" for url in _sites(urls)))
        lab = ["--lab", "--ca-file", str(self.ground.ca_file)]
        collector = ["--collector", self.ground.collector_url]
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


def _sites(inputs: Sequence[str]) -> list[str]:
    """The web addresses among the inputs of scenarios; services have none. Never empty."""
    return [one for one in inputs if "://" in one] or [_ANY_SITE]


@contextmanager
def stage(
    ground: Ground,
    control: ControlState,
    urls: Sequence[str],
    looks: Sequence[str] = ("web",),
    settings: str = "",
) -> Iterator[Harness]:
    """A collector, a control if there is to be one, and a volunteer who consented."""
    made = Harness(ground)
    made.start_collector(urls)
    if control is not ControlState.NONE:
        made.start_control(urls, stale=control is ControlState.STALE, looks=looks)
    made.consent()
    made.configure(settings)
    yield made


def records(path: Path) -> Iterator[dict[str, object]]:
    """The records in a file; a half-written last line is left out."""
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return


def _finished(path: Path) -> bool:
    return any(record.get("experiment") == "run" for record in records(path))


def _accept(said: commands.Finished, what: str) -> str:
    if said.returncode:
        raise StageError(f"{what} exited with {said.returncode}: {said.stderr[-2000:]}")
    return said.stdout
