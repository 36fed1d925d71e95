"""A running country: start it, run commands at its places, ask what a right verdict would be.

    with Country(scenarios) as country:
        country.client(["curl", "https://…/"])

It ends with the block, and also when this process is killed: the country lives below a process
whose standard input is ours.
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
from probe.lab.scenario import WIRE, Expect, Interference, LineSpec, Scenario, Site
from probe.lab.supervisor import Order

Where = Literal["client", "abroad", "internet", "censor"]
_NEEDED = ("unshare", "nsenter", "ip", "iptables-restore")
_START_LIMIT = 30.0


class NoNamespacesError(RuntimeError):
    """This machine does not let us make network namespaces; the message says why."""


class CountryError(RuntimeError):
    """The country could not be built."""


def _flags() -> list[str]:
    """How to make namespaces here: as root directly, else through a user namespace of our own."""
    root = os.geteuid() == 0
    return ["-nmp"] if root else ["-Urnmp"]


@cache
def obstacle() -> str | None:
    """Why there can be no country here, in one line, or None."""
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
    """One simulated country with the sites, the censor and the line that were asked for."""

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
        extra: Iterable[Site] = (),
        seed: int = 1,
    ) -> None:
        self.scenarios = tuple(scenarios)
        lines = {each.line for each in self.scenarios} or {WIRE}
        if line is None and len(lines) != 1:
            raise ValueError("scenarios with different lines need a country each")
        self.line = line or lines.pop()
        self._extra = tuple(extra)
        self._seed = seed
        self._expect = {each.url: each for scenario in self.scenarios for each in scenario.expect}
        self._places: dict[str, int] = {}
        self._addresses: dict[str, list[str]] = {}
        self._warden: subprocess.Popen[bytes] | None = None
        self._running = commands.Running()

    def __enter__(self) -> Self:
        reason = obstacle()
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
        order = Order(self.scenarios, self.line, str(self.folder), self._seed, self._extra)
        command = ["unshare", *_flags(), "-f", "--kill-child=SIGKILL"]
        with (self.folder / "warden.log").open("wb") as log:
            self._warden = subprocess.Popen(
                [*command, sys.executable, "-m", "probe.lab.supervisor"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=commands.environment(),
            )
        assert self._warden.stdin is not None
        assert self._warden.stdout is not None
        pickle.dump(order, self._warden.stdin)
        self._warden.stdin.flush()
        said = self._answer()
        self._places = said["places"]
        self._addresses = said["addresses"]

    def _answer(self) -> dict[str, Any]:
        assert self._warden is not None
        assert self._warden.stdout is not None
        answer = self._warden.stdout.readline()
        said: dict[str, Any] = json.loads(answer) if answer else {"error": self.log()}
        if "error" in said:
            raise CountryError(said["error"])
        return said

    def switch(self, *acts: Interference) -> None:
        """From now on the censor does this, and nothing of what it did before.

        Only what its kernel does by itself (silence, resets, cuts): a page, a lie or a forged
        certificate needs a process, which has to be there from the start.
        """
        assert self._warden is not None
        assert self._warden.stdin is not None
        pickle.dump(acts, self._warden.stdin)
        self._warden.stdin.flush()
        self._answer()

    def _stop(self) -> None:
        self._running.end()
        if self._warden is not None:
            assert self._warden.stdin is not None
            assert self._warden.stdout is not None
            self._warden.kill()
            self._warden.wait()
            self._warden.stdin.close()
            self._warden.stdout.close()
            self._warden = None
        rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What the country's own processes complained about."""
        return (self.folder / "warden.log").read_text(errors="replace")

    @property
    def ca_file(self) -> Path:
        """The lab's roots, for `--lab --ca-file`."""
        return self.folder / "ca.pem"

    def url(self, url: str) -> str:
        """A URL of the catalogue as it is here: the same."""
        return url

    def urls(self) -> tuple[str, ...]:
        """Every URL that has a right verdict, in the order of the catalogue."""
        return tuple(self._expect)

    def expect(self, url: str) -> Expect:
        """The right verdict for a URL."""
        return self._expect[url]

    def addresses(self, name: str) -> tuple[str, ...]:
        """Every address a site was given, IPv4 first."""
        return tuple(self._addresses[name])

    def censor(self, *, on: bool) -> None:
        """The censor of a country never sleeps; nothing to do."""

    def options(self) -> dict[str, str]:
        """Settings a probe needs here, as environment variables: none."""
        return {}

    def wrap(self, where: Where, argv: Sequence[str]) -> list[str]:
        """A command line that runs `argv` at a place, in our current folder."""
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        enter = ["nsenter", "-t", str(self._places[where]), *user, "-n", "-m", "-p", "--"]
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', os.getcwd(), *argv]  # noqa: PTH109 - text

    def spawn(
        self,
        where: Where,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> commands.Started:
        """Start a command at a place and leave it running until the country ends."""
        return self._running.spawn(self.wrap(where, argv), env, log)

    def run(
        self,
        where: Where,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> commands.Finished:
        """Run a command at a place and give back what it said."""
        return commands.run(self.wrap(where, argv), env, timeout)

    def client(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 60.0
    ) -> commands.Finished:
        """Run a command at home, behind the censor."""
        return self.run("client", argv, env=env, timeout=timeout)

    def abroad(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 60.0
    ) -> commands.Finished:
        """Run a command where nobody censors."""
        return self.run("abroad", argv, env=env, timeout=timeout)
