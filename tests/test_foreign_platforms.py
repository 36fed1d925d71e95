"""A run without privileges needs nothing that only one kind of system has."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from probe.lab import commands
from probe.lab.catalogue import catalogue
from probe.lab.harness import Harness
from probe.lab.loopback_testbed import LoopbackTestbed
from tests.foreign_platform import MISSING_MODULES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks like others from Linux")

ROOT = Path(__file__).parents[1]
SYSTEMS = sorted(MISSING_MODULES)
SCENARIOS = {"innocent.fine", "tls.reset", "http.page_200", "dns.nxdomain", "mitm.2021"}
# Command, and the exit codes that are right without a connection to the internet.
COMMANDS = [
    ("import", {0}),
    ("--version", {0}),
    ("--help", {0}),
    ("consent --yes", {0}),
    ("consent --show", {0}),
    ("targets list", {0}),
    ("targets list kz", {0}),
    ("doctor", {0, 1, 2}),
    ("results list", {0}),
    ("run --dry-run", {0}),
    ("schedule status", {1}),  # nothing is installed
    ("config init", {0}),
    ("config check", {0}),
    ("erase --local-only --yes", {0}),
]


@dataclass
class Foreign:
    """The command on another system, with a home of its own."""

    system: str
    home: Path

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = commands.run(
            [*self.argv(), *words],
            {"QAZPROBE_HOME": str(self.home), "HOME": str(self.home), **environment},
            timeout=120,
        )
        log = self.home / "bugs.log"
        told = log.read_text(encoding="utf-8") if log.exists() else ""
        log.unlink(missing_ok=True)  # the next command is not to answer for it
        assert told == ""
        assert "internal error" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def argv(self) -> list[str]:
        module = ["-X", "warn_default_encoding", "-m", "tests.foreign_platform"]
        return [sys.executable, *module, self.system]


@pytest.fixture(scope="module", params=SYSTEMS)
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    return Foreign(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize(("command", "codes"), COMMANDS, ids=str)
def test_a_command_needs_nothing_that_the_system_lacks(
    foreign: Foreign, command: str, codes: set[int]
) -> None:
    done = foreign.run(*command.split())
    assert done.returncode in codes, done.stdout + done.stderr


def test_the_demonstration_says_that_it_does_not_run_on_windows(tmp_path: Path) -> None:
    done = Foreign("windows", tmp_path).run("demo")
    assert done.returncode == 2
    assert "Windows" in done.stderr


@pytest.mark.slow
def test_a_run_measures_to_its_end(foreign: Foreign, tmp_path: Path) -> None:
    shown = [each for each in catalogue() if each.name in SCENARIOS]
    with LoopbackTestbed(shown) as testbed:
        urls = testbed.urls()
        harness = Harness(testbed)
        harness.start_collector(urls)
        here = Foreign(foreign.system, Path(harness.probe_env()["QAZPROBE_HOME"]))
        assert here.run("consent", "--yes").returncode == 0
        records = tmp_path / "records.jsonl"
        argv = harness.probe_argv(urls, records)
        options = testbed.options()
        done = here.run(*argv[argv.index("run") :], **options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert here.run("results", "list").returncode == 0
        assert here.run("results", "show", "last").returncode == 0
        found = [json.loads(line) for line in records.read_text("utf-8").splitlines()]
        platform = {record["vantage"]["platform"] for record in found}
        assert platform == {foreign.system}
        judged = {record["input"]: record["verdict"] for record in found if "verdict" in record}
        wrong = [url for url in urls if testbed.expect(url).is_false_positive(outcome(judged, url))]
        assert wrong == []
        assert {outcome(judged, url) for url in urls} > {"ok"}


def outcome(judged: dict[str, dict[str, str]], url: str) -> str:
    return judged[url]["outcome"]


@pytest.mark.slow
def test_a_second_run_finds_the_lock(foreign: Foreign) -> None:
    lock = "from probe.paths import find, run_lock; import sys; l = run_lock(find().ready());"
    held = f"{lock} assert l.acquire(); print('held', flush=True); sys.stdin.read()"
    code = (
        "from tests.foreign_platform import install; "
        f"install({foreign.system!r}); exec(compile({held!r}, 'probe', 'exec'), "
        "{'__name__': 'probe.held'})"
    )
    foreign.run("consent", "--yes")
    environment = commands.environment({"QAZPROBE_HOME": str(foreign.home)})
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        done = foreign.run("run", "--lab", "--quiet", "http://127.0.0.1:9/")
        holder.communicate(b"")
    assert done.returncode == 5, done.stderr


def test_locking_a_file_as_windows_does_leaves_its_position(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_bytes(b"first\n")
    code = (
        "from tests.foreign_platform import install; install('windows')\n"
        "from probe import atomic_files\n"
        "with open(sys.argv[1], 'r+b', buffering=0) as file:\n"
        "    file.seek(6)\n"
        "    assert atomic_files.try_lock(file)\n"
        "    file.write(b'second')\n"
    )
    subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}", file], cwd=ROOT, check=True, timeout=60
    )
    assert file.stat().st_size == 12
    assert file.read_bytes() == b"first\nsecond"


def top_level_imports(path: Path) -> Iterator[str]:
    """Modules that a file imports whenever it is imported itself, on every system."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_module_of_the_probe_imports_one_that_only_some_systems_have() -> None:
    missing = set().union(*MISSING_MODULES.values())
    files = [
        path
        for path in (ROOT / "probe").rglob("*.py")
        if not {"lab", "rawhelper"} & set(path.relative_to(ROOT / "probe").parts)
    ]
    found = {str(path): missing & set(top_level_imports(path)) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_stand_in_hides_what_the_system_lacks(system: str) -> None:
    code = (
        "import probe, sys; from tests.foreign_platform import install\n"
        f"install({system!r})\n"
        "space = {'__name__': 'probe.trial'}\n"
        "exec('import sys, os, socket, signal', space)\n"
        "print(space['sys'].platform, hasattr(space['os'], 'fork'), "
        "hasattr(space['socket'], 'AF_NETLINK'), hasattr(space['signal'], 'SIGHUP'))\n"
        "try:\n    exec('import fcntl', space)\n    print('fcntl')\n"
        "except ModuleNotFoundError:\n    print('none')\n"
        "try:\n    open('/proc/net/route')\n    print('route')\n"
        "except FileNotFoundError:\n    print('none')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    expected = {
        "windows": "win32 False False False\nnone\nnone\n",
        "macos": "darwin True False True\nfcntl\nnone\n",
    }
    assert done.stdout == expected[system]
