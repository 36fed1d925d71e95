"""A testbed in network namespaces: start it, run commands on its nodes, look up right verdicts.

    with NetnsTestbed(scenarios) as testbed:
        testbed.client(["curl", "https://…/"])

It ends with the block, and also when this process is killed: the supervisor ends when its standard
input closes.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from shutil import rmtree, which
from typing import Any, Literal, Self

from probe.lab import addresses as plan, commands
from probe.lab.scenario import WIRE, Expect, Interference, LabSite, LineSpec, Scenario
from probe.lab.supervisor import BuildRequest

NodeName = Literal["client", "abroad", "internet", "censor"]
_NEEDED = ("unshare", "nsenter", "ip", "iptables-restore")
_START_LIMIT = 30.0


class NoNamespacesError(RuntimeError):
    """This machine does not allow network namespaces; the message says why."""


class NetnsTestbedError(RuntimeError):
    """The supervisor could not build or change the testbed."""


def _flags() -> list[str]:
    """Options of `unshare`: as root directly, else with a user namespace."""
    root = os.geteuid() == 0
    return ["-nmp"] if root else ["-Urnmp"]


@cache
def unavailable_reason() -> str | None:
    """Why network namespaces cannot be used here, in one line, or None."""
    if os.environ.get("QAZLAB") == "street":
        return "QAZLAB=street is set"
    missing = [name for name in _NEEDED if not which(name)]
    if missing:
        return f"these commands are missing: {', '.join(missing)}"
    tried = subprocess.run(
        ["unshare", *_flags(), "-f", "--kill-child", "iptables-restore", "--test"],
        input="*filter\nCOMMIT\n",
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return None if tried.returncode == 0 else tried.stderr.strip() or "unshare was refused"


class NetnsTestbed:
    """One testbed with the sites, censor and line of some scenarios."""

    collector_listen = f"{plan.COLLECTOR}:{plan.COLLECTOR_PORT}"
    collector_url = f"http://{plan.COLLECTOR}:{plan.COLLECTOR_PORT}"
    bulk_listen = f"{plan.COLLECTOR}:{plan.BULK_PORT}"
    resolver = plan.SYSTEM_RESOLVER
    control_stays = True

    def __init__(
        self,
        scenarios: Iterable[Scenario],
        *,
        line: LineSpec | None = None,
        extra: Iterable[LabSite] = (),
    ) -> None:
        self.scenarios = tuple(scenarios)
        lines = {each.line for each in self.scenarios} or {WIRE}
        if line is None and len(lines) != 1:
            raise ValueError("scenarios with different lines need separate testbeds")
        self.line = line or lines.pop()
        self._extra = tuple(extra)
        self._expect = {each.url: each for scenario in self.scenarios for each in scenario.expect}
        self._node_pids: dict[str, int] = {}
        self._addresses: dict[str, list[str]] = {}
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._running = commands.BackgroundCommands()

    def __enter__(self) -> Self:
        reason = unavailable_reason()
        if reason is not None:
            raise NoNamespacesError(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="qazprobe-lab-"))
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        request = BuildRequest(self.scenarios, self.line, str(self.folder), self._extra)
        command = ["unshare", *_flags(), "-f", "--kill-child=SIGKILL"]
        with (self.folder / "supervisor.log").open("wb") as log:
            self._supervisor = subprocess.Popen(
                [*command, sys.executable, "-m", "probe.lab.supervisor"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=commands.environment(),
            )
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        pickle.dump(request, self._supervisor.stdin)
        self._supervisor.stdin.flush()
        reply = self._read_reply()
        self._node_pids = reply["nodes"]
        self._addresses = reply["addresses"]

    def _read_reply(self) -> dict[str, Any]:
        assert self._supervisor is not None
        assert self._supervisor.stdout is not None
        answer = self._supervisor.stdout.readline()
        reply: dict[str, Any] = json.loads(answer) if answer else {"error": self.log()}
        if "error" in reply:
            raise NetnsTestbedError(reply["error"])
        return reply

    def set_interference(self, *interferences: Interference) -> None:
        """Replace the censor's interference.

        Only kernel rules (drops, resets, address blocks) can change: a block page, a forged answer
        or certificate needs a process that starts with the testbed.
        """
        assert self._supervisor is not None
        assert self._supervisor.stdin is not None
        pickle.dump(interferences, self._supervisor.stdin)
        self._supervisor.stdin.flush()
        self._read_reply()

    def _stop(self) -> None:
        self._running.end()
        if self._supervisor is not None:
            assert self._supervisor.stdin is not None
            assert self._supervisor.stdout is not None
            self._supervisor.kill()
            self._supervisor.wait()
            self._supervisor.stdin.close()
            self._supervisor.stdout.close()
            self._supervisor = None
        rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """The supervisor's standard error."""
        return (self.folder / "supervisor.log").read_text(errors="replace")

    @property
    def ca_file(self) -> Path:
        """The lab's root certificates, for `--lab --ca-file`."""
        return self.folder / "ca.pem"

    def url(self, url: str) -> str:
        """The URL in this testbed of a URL of the catalogue: the same."""
        return url

    def urls(self) -> tuple[str, ...]:
        """Every URL that has a right verdict, in the order of the catalogue."""
        return tuple(self._expect)

    def expect(self, url: str) -> Expect:
        """The right verdict for a URL."""
        return self._expect[url]

    def addresses(self, name: str) -> tuple[str, ...]:
        """All addresses of a site, IPv4 first."""
        return tuple(self._addresses[name])

    def censor(self, *, on: bool) -> None:
        """Do nothing: only the client is behind the censor, so it need not be switched off."""

    def options(self) -> dict[str, str]:
        """Environment variables that a probe needs here: none."""
        return {}

    def wrap(self, node: NodeName, argv: Sequence[str]) -> list[str]:
        """A command line that runs `argv` on a node, in the current folder."""
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        enter = ["nsenter", "-t", str(self._node_pids[node]), *user, "-n", "-m", "-p", "--"]
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', os.getcwd(), *argv]  # noqa: PTH109 - text

    def spawn(
        self,
        node: NodeName,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> commands.Started:
        """Start a command on a node; it runs until the testbed ends."""
        return self._running.spawn(self.wrap(node, argv), env, log)

    def run(
        self,
        node: NodeName,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> commands.Finished:
        """Run a command on a node and return its result."""
        return commands.run(self.wrap(node, argv), env, timeout)

    def client(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 60.0
    ) -> commands.Finished:
        """Run a command on the client, behind the censor."""
        return self.run("client", argv, env=env, timeout=timeout)

    def abroad(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 60.0
    ) -> commands.Finished:
        """Run a command on the uncensored node."""
        return self.run("abroad", argv, env=env, timeout=timeout)
