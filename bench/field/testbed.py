"""Start a field, run the probe in it, and measure the cost.

    with Ground(Spec(sites=500)) as ground:
        print(ground.probe(concurrency=64).seconds)

Processor time is the kernel's account of the probe's process; memory is the most it ever held;
bytes are what crossed its network interface, headers and all.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import Any, Self

from bench.field import plan as plans
from bench.field.plan import Field, Spec
from probe import codec
from probe.lab import commands
from probe.model import Record

# As when installed: modules are compiled once, not at every start.
_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}
_PACKAGE = str(Path(commands.__file__).parents[1])
PROBE = "from probe.cli import main; main()"
_CORE = 0  # reserved for the probe
_PERIOD = 0.1  # seconds of one period of a core's share


@dataclass(frozen=True)
class Cost:
    """The cost of one run.

    Attributes:
        cpu: Processor seconds. memory: peak resident bytes. down, up: bytes on the interface.
    """

    seconds: float
    cpu: float
    memory: int
    down: int
    up: int
    exit: int
    records: tuple[Record, ...] = ()

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(str(r.verdict.outcome) for r in self.records if r.verdict is not None)

    @property
    def run(self) -> Record:
        return next(r for r in self.records if r.experiment == "run")

    @property
    def sites(self) -> list[Record]:
        return [r for r in self.records if r.experiment == "web"]


class FieldTestbed:
    """A running field."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def __enter__(self) -> Self:
        subprocess.run([sys.executable, "-m", "compileall", "-q", _PACKAGE], check=True)
        self.folder = Path(tempfile.mkdtemp(prefix="qazprobe-field-"))
        flags = "-nmp" if os.geteuid() == 0 else "-Urnmp"
        self._supervisor = subprocess.Popen(
            [*off_the_core(), "unshare", flags, "-f", "--kill-child=SIGKILL",
             sys.executable, "-m", "bench.field.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=commands.environment(),
        )  # fmt: skip
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        pickle.dump((self.spec, str(self.folder)), self._supervisor.stdin)
        self._supervisor.stdin.flush()
        self.field: Field = plans.make(self.spec)
        reply: dict[str, Any] = json.loads(
            self._supervisor.stdout.readline() or '{"error": "no reply"}'
        )
        if "error" in reply:
            raise RuntimeError(reply["error"])
        self.nodes: dict[str, int] = reply["nodes"]
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.kill()
        self._supervisor.communicate()
        rmtree(self.folder, ignore_errors=True)

    def urls(self) -> list[str]:
        return [site.url for site in self.field.sites if site.name not in plans.ANCHORS]

    def inside(self, argv: Sequence[str], node: str = "home") -> list[str]:
        """A command line that runs `argv` on a node."""
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        enter = ["nsenter", "-t", str(self.nodes[node]), *user, "-n", "-m", "--"]
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(Path.cwd()), *argv]

    def env(self) -> dict[str, str]:
        """Environment variables of a probe here."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        names = plans.ANCHORS[: self.spec.anchor_sites]
        anchors = ",".join(f"https://{name}/" for name in names)
        return {**_INSTALLED, "QAZPROBE_HOME": str(home), "QAZPROBE_ANCHORS": anchors}

    def probe(
        self,
        *more: str,
        concurrency: int = 64,
        share: float = 1.0,
        urls: Sequence[str] | None = None,
        collector: str | None = None,
        profile: str | None = None,
        sampled: str | None = None,
        tree: Path | None = None,
    ) -> Cost:
        """Run the probe over every site, on one core or a share of it.

        All settings are defaults except for the roots, the seed and a large byte budget. With
        `tree` it is the probe of another copy of the project.
        """
        rmtree(self.folder / "home", ignore_errors=True)
        targets, found = self.folder / "targets.txt", self.folder / "records.jsonl"
        targets.write_text("".join(f"{url}\n" for url in urls or self.urls()))
        found.unlink(missing_ok=True)
        command = [sys.executable, "-c", PROBE]
        env = commands.environment(self.env())
        if tree is not None:
            env["PYTHONPATH"] = f"{tree.absolute()}:{env['PYTHONPATH']}"
            command = [sys.executable, "-P", "-c", PROBE]  # -P: not this folder's
        subprocess.run([*command, "consent", "--yes"], env=env, check=True, capture_output=True)
        if profile:
            script = self.folder / "start.py"
            script.write_text(PROBE)
            command = [sys.executable, "-m", "cProfile", "-o", profile, str(script)]
        if sampled:
            command = [sys.executable, "-m", "bench.field.sampler", sampled]
        argv = [
            *command, "run", "--targets", str(targets), "-o", str(found), "--quiet", "--lab",
            "--ca-file", str(self.folder / "ca.pem"), "--concurrency", str(concurrency),
            "--seed", "7", "--max-bytes", "2000000000",
            *(["--collector", collector] if collector else ["--control", "none", "--no-upload"]),
            *([] if {"-e", "--profile"} & set(more) else ["-e", "web"]), *more,
        ]  # fmt: skip
        cost = self.measure(argv, env, share=share)
        lines = found.read_bytes().splitlines() if found.exists() else []
        return replace(cost, records=tuple(map(codec.decode, lines)))

    def measure(self, argv: Sequence[str], env: Mapping[str, str], *, share: float = 1.0) -> Cost:
        """Run a command on the home node, on one core or a share of it, and return its cost."""
        pinned = ["taskset", "-c", str(_CORE), *argv]
        before, began = self._counted(), time.monotonic()
        process = subprocess.Popen(self.inside(pinned), env=env)
        memory = _watch(process, share)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds, after = time.monotonic() - began, self._counted()
        return Cost(
            seconds=seconds,
            cpu=used.ru_utime + used.ru_stime,
            memory=memory,
            down=after[0] - before[0],
            up=after[1] - before[1],
            exit=process.returncode,
        )

    def _counted(self) -> tuple[int, int]:
        """Bytes in and out of the home's interface."""
        text = Path(f"/proc/{self.nodes['home']}/net/dev").read_text()
        numbers = next(line for line in text.splitlines() if "eth0" in line).split()
        return int(numbers[1]), int(numbers[9])


def _watch(process: subprocess.Popen[bytes], share: float) -> int:
    """Wait for the end; return the peak memory. A share below 1 stops the process periodically."""
    import signal

    memory, status = 0, Path(f"/proc/{process.pid}/status")
    began = time.monotonic()
    while True:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            return memory
        text = status.read_text()
        if "VmHWM:" in text:
            memory = max(memory, int(text.partition("VmHWM:")[2].split()[0]) * 1024)
        if share < 1.0:
            time.sleep(_PERIOD * share)
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(_PERIOD * (1 - share))
            os.kill(process.pid, signal.SIGCONT)
        else:  # a process that lives for a blink is looked at often
            time.sleep(min(_PERIOD, 0.01 + (time.monotonic() - began) / 20))


def machine() -> str:
    """The machine and Python version, in one line."""
    text = Path("/proc/cpuinfo").read_text()
    model = text.partition("model name")[2].partition("\n")[0].strip(" :\t") or "unknown processor"
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}, Python {python}"


def off_the_core() -> list[str]:
    """A prefix that keeps a command off the measured program's core."""
    others = [str(core) for core in range(os.cpu_count() or 1) if core != _CORE]
    return ["taskset", "-c", ",".join(others)] if others else []
