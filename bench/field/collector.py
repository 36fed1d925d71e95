"""A collector beyond the field's censor, and a control that has just looked at every site.

    with Ground(spec) as ground, Abroad(ground) as abroad:
        cost = ground.probe(collector=abroad.url)

Both run where the sites are, off the measured probe's core; what the probe asks of the collector
and sends there crosses the same line as everything else.
"""

import re
import subprocess
import sys
from typing import Self

from bench.field import plan as plans
from bench.field.testbed import PROBE, FieldTestbed, off_the_core
from probe.lab import commands

_ADDRESS = "45.130.255.1"  # the field's, and no site's
_PORT = 8080
_COLLECTOR = "from collector.cli import main; main()"


class FieldCollector:
    """A running collector that knows what every site looks like from outside."""

    def __init__(self, testbed: FieldTestbed) -> None:
        self.testbed = testbed
        self.url = f"http://{_ADDRESS}:{_PORT}"
        self._store = f"sqlite:///{testbed.folder}/store.sqlite3"
        self._env = commands.environment(
            {**testbed.env(), "QAZPROBE_HOME": str(testbed.folder / "control")}
        )

    def __enter__(self) -> Self:
        listed = self.testbed.folder / "listed.txt"
        listed.write_text("".join(f"{url}\n" for url in self.testbed.urls()))
        serve = [
            "serve", "--listen", f"{_ADDRESS}:{_PORT}", "--store", self._store,
            "--enrolment", "open", "--lab", "--targets", str(listed),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            self._there(_COLLECTOR, serve), env=self._env, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if re.search(r"ready on", said) is None:
            raise RuntimeError(said)
        self.look(str(listed), self._invite())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def look(self, targets: str, invite: str) -> None:
        """One sweep of the control, sent."""
        argv = [
            "run", "--role", "control", "--targets", targets, "--lab", "--quiet",
            "--ca-file", str(self.testbed.folder / "ca.pem"), "--resolver", plans.SYSTEM_RESOLVER,
            "--collector", self.url, "--invite", invite, "--concurrency", "64",
        ]  # fmt: skip
        subprocess.run(self._there(PROBE, argv), env=self._env, check=True)

    def _invite(self) -> str:
        argv = ["enroll", "--store", self._store, "--role", "control"]
        made = subprocess.run(
            [sys.executable, "-c", _COLLECTOR, *argv],
            env=self._env, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return made.stdout.strip()

    def _there(self, program: str, argv: list[str]) -> list[str]:
        return self.testbed.inside(
            [*off_the_core(), sys.executable, "-c", program, *argv], place="world"
        )
