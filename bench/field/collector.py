"""A collector beyond the field's censor, and a control that has just measured every site.

    with FieldTestbed(spec) as testbed, FieldCollector(testbed) as collector:
        cost = testbed.probe(collector=collector.url)

Both run on the sites' node, off the measured probe's core. The probe's requests to the collector
cross the same line as everything else.
"""

import re
import subprocess
import sys
from typing import Self

from bench.field import plan as plans
from bench.field.testbed import PROBE, FieldTestbed, off_the_core
from probe.lab import commands

_ADDRESS = "45.130.255.1"  # in the field's network, used by no site
_PORT = 8080
_COLLECTOR = "from collector.cli import main; main()"


class FieldCollector:
    """A running collector with a control measurement of every site."""

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
            self._on_internet(_COLLECTOR, serve), env=self._env, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        output = self._process.stderr.readline()
        if re.search(r"ready on", output) is None:
            raise RuntimeError(output)
        self.measure_control(str(listed), self._invite())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def measure_control(self, targets: str, invite: str) -> None:
        """Run the control once over these targets; it uploads its records."""
        argv = [
            "run", "--role", "control", "--targets", targets, "--lab", "--quiet",
            "--ca-file", str(self.testbed.folder / "ca.pem"), "--resolver", plans.SYSTEM_RESOLVER,
            "--collector", self.url, "--invite", invite, "--concurrency", "64",
        ]  # fmt: skip
        subprocess.run(self._on_internet(PROBE, argv), env=self._env, check=True)

    def _invite(self) -> str:
        argv = ["enroll", "--store", self._store, "--role", "control"]
        finished = subprocess.run(
            [sys.executable, "-c", _COLLECTOR, *argv],
            env=self._env, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return finished.stdout.strip()

    def _on_internet(self, program: str, argv: list[str]) -> list[str]:
        return self.testbed.inside(
            [*off_the_core(), sys.executable, "-c", program, *argv], node="internet"
        )
