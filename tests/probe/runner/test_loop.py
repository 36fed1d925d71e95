"""Whole runs as processes: exit codes, locks, signals, full disks; the network is a stage."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from probe import codec
from probe.client.spool import Spool
from probe.model import Record
from probe.runner.journal import Journal
from tests.probe import actor

ROOT = Path(__file__).parents[3]
BAD = json.dumps({"bad.test": "reset"})
OK = "https://a.example/"


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


class Home:
    """A home folder and the command in it."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capture = capture
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("QAZPROBE_")},
            "QAZPROBE_HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
        }

    def argv(self, *words: str, manners: str = "{}") -> list[str]:
        return [sys.executable, "-m", "tests.probe.actor", manners, *words]

    def call(self, *words: str, manners: str = "{}", **env: str) -> Said:
        """The command in this process: most of a process's time would go into its start."""
        before = Path.cwd()
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("QAZPROBE_")]:
                patch.delenv(name)
            for name, value in {**self.env, **env}.items():
                patch.setenv(name, value)
            os.chdir(self.folder)
            try:
                actor.play(manners, words, patch)
            except SystemExit as left:
                code = left.code
            finally:
                os.chdir(before)
        out, err = self.capture.readouterr()
        return Said(int(code or 0), out, err)

    def begin(self, *words: str, manners: str = "{}", **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*words, manners=manners),
            env={**self.env, **env},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def spooled(self) -> list[Record]:
        spool = Spool(self.folder)
        spool.adopt(["https://c.example"])
        batch = spool.batch("https://c.example")
        return [codec.decode(line) for line in batch.lines] if batch else []


@pytest.fixture
def stranger(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Home:
    """Somebody who has agreed to nothing."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Home(folder, capfd)


@pytest.fixture
def home(stranger: Home) -> Home:
    """A volunteer who has agreed."""
    assert stranger.call("consent", "--yes").returncode == 0
    return stranger


def records(text: str) -> list[Record]:
    return [codec.decode(line.encode()) for line in text.splitlines()]


def eventually(path: Path, needle: str, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists() and needle in path.read_text(errors="replace"):
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never had {needle}")


def test_a_run_writes_records_and_exits_with_0_whatever_it_found(home: Home) -> None:
    said = home.call("run", OK, "https://bad.test/", "-o", "-", manners=BAD)
    assert said.returncode == 0, said.stderr
    found = records(said.stdout)
    assert [one.experiment for one in found] == ["web", "web", "run"]
    assert {one.verdict.outcome for one in found if one.verdict} == {"ok", "blocked"}
    assert said.stderr == ""


def test_without_consent_nothing_is_measured(stranger: Home) -> None:
    said = stranger.call("run", OK, "-o", "out.jsonl")
    assert said.returncode == 2
    assert len(said.stderr.splitlines()) == 1
    assert "qazprobe consent" in said.stderr
    assert not (stranger.folder / "out.jsonl").exists()


def test_a_control_needs_no_consent(stranger: Home) -> None:
    said = stranger.call("run", OK, "--role", "control", "-o", "-")
    assert said.returncode == 0, said.stderr


def test_quiet_says_nothing(home: Home) -> None:
    said = home.call("run", OK, "--quiet")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_a_table_is_shown_when_stdout_is_free(home: Home) -> None:
    said = home.call("run", OK, "https://bad.test/", manners=BAD)
    assert "https://bad.test" in said.stdout
    assert "2 measured: 1 blocked, 1 ok" in said.stdout


def test_json_is_a_line_for_each_record(home: Home) -> None:
    said = home.call("run", OK, "--json")
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert [line["input"] for line in lines] == [OK, ""]
    assert lines[0]["outcome"] == "ok"
    assert lines[1]["facts"]["measured"] == 1


def test_fail_on_exits_with_10(home: Home) -> None:
    found = ("run", OK, "https://bad.test/", "--quiet", "--fail-on")
    assert home.call(*found, "blocked,intercepted", manners=BAD).returncode == 10
    assert home.call(*found, "throttled", manners=BAD).returncode == 0
    assert home.call(*found, "nonsense", manners=BAD).returncode == 2


def test_a_dead_line_exits_with_3_and_still_writes(home: Home) -> None:
    said = home.call("run", OK, "-o", "out.jsonl", STAGE_DEAD="1")
    assert said.returncode == 3
    found = records((home.folder / "out.jsonl").read_text())
    assert [one.experiment for one in found] == ["web", "run"]


def test_a_bug_exits_with_1_and_is_kept_here(home: Home) -> None:
    said = home.call("run", OK, "https://b.test/", "-o", "-", manners='{"b.test": "bug"}')
    assert said.returncode == 1
    assert [one.input for one in records(said.stdout)] == [OK, ""]
    log = (home.folder / "bugs.log").read_text()
    assert "ZeroDivisionError" in log
    assert "Traceback" not in said.stderr


def test_an_unreachable_collector_exits_with_4_and_the_spool_keeps(home: Home) -> None:
    collector = ("--collector", "http://127.0.0.1:9", "--max-time", "4")
    said = home.call("run", OK, "--control", "none", *collector)
    assert said.returncode == 4
    assert "kept for later" in said.stderr
    kept = Spool(home.folder).batch("http://127.0.0.1:9")
    assert kept is not None
    assert len(kept.lines) == 2


def test_no_upload_is_no_failure(home: Home) -> None:
    collector = ("--collector", "http://127.0.0.1:9", "--no-upload")
    assert home.call("run", OK, *collector, "--quiet").returncode == 0


def test_another_run_holds_the_lock(home: Home) -> None:
    first = home.begin("run", OK, "--quiet", "-o", "first.jsonl", STAGE_DELAY="30")
    eventually(home.folder / "run.lock", "")
    time.sleep(0.3)
    said = home.call("run", OK, "--quiet")
    assert said.returncode == 5
    assert "another run" in said.stderr
    first.kill()
    first.communicate()
    assert home.call("run", OK, "--quiet").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_measuring_and_writes_what_there_is(
    home: Home, number: signal.Signals
) -> None:
    manners = json.dumps({"bad.test": "reset", "slow.test": "slow"})
    out = home.folder / "out.jsonl"
    running = home.begin(
        "run", OK, "https://slow.test/", "https://bad.test/", "-o", str(out), manners=manners
    )
    eventually(home.folder / "held.jsonl", "bad.test")
    eventually(out, OK)
    running.send_signal(number)
    started = time.monotonic()
    _, err = running.communicate(timeout=10)
    assert time.monotonic() - started < 3.0
    assert running.returncode == 0, err
    found = {one.input: one for one in records(out.read_text())}
    assert set(found) == {OK, "https://bad.test/", ""}
    verdict = found["https://bad.test/"].verdict
    assert verdict is not None
    assert verdict.outcome == "inconclusive"
    facts = found[""].facts
    assert facts is not None
    assert facts.ended == "interrupted"
    assert [skip.input for skip in facts.skipped] == ["https://slow.test/"]


def test_what_a_killed_run_was_holding_is_kept_by_the_next(home: Home) -> None:
    manners = json.dumps({"bad.test": "reset", "slow.test": "slow"})
    running = home.begin("run", "https://slow.test/", "https://bad.test/", manners=manners)
    eventually(home.folder / "held.jsonl", "bad.test")
    running.kill()
    running.communicate()
    (held,) = Journal(home.folder).left_over()
    assert home.spooled() == []
    assert home.call("run", OK, "--quiet").returncode == 0
    assert home.call("run", OK, "--quiet").returncode == 0
    kept = home.spooled()
    assert [one.id for one in kept].count(held.id) == 1
    again = next(one for one in kept if one.id == held.id)
    assert again.verdict is not None
    assert again.verdict.outcome == "inconclusive"
    assert Journal(home.folder).left_over() == ()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_costs_a_line_and_the_code_not_the_run(home: Home) -> None:
    said = home.call("run", OK, "https://b.test/", "-o", "/dev/full")
    assert said.returncode == 1
    assert said.stderr.count("cannot write") == 1
    assert "Traceback" not in said.stderr
    assert len(home.spooled()) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="needs setrlimit")
def test_a_full_state_folder_costs_what_is_kept_and_not_what_is_written(home: Home) -> None:
    # Files may not grow: the same as a full disk for everything but the pipe on stdout.
    limited = "import resource, runpy, signal, sys; "
    limited += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    limited += "sys.argv = sys.argv[1:]; sys.argv.insert(0, 'actor'); "
    limited += "runpy.run_module('tests.probe.actor', run_name='__main__')"
    said = subprocess.run(
        [sys.executable, "-c", limited, BAD, "run", OK, "https://bad.test/", "-o", "-"],
        env=home.env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert said.returncode == 1, said.stderr
    assert [one.experiment for one in records(said.stdout)] == ["web", "web", "run"]
    assert "Traceback" not in said.stderr
    assert said.stderr.count("cannot write into the state folder") == 1


def test_a_reader_that_goes_away_is_no_trouble(home: Home) -> None:
    running = home.begin("run", OK, "https://b.test/", "-o", "-", STAGE_DELAY="0.3")
    assert running.stdout is not None
    running.stdout.close()
    assert running.wait(timeout=10) == 0
    assert running.stderr is not None
    assert running.stderr.read() == ""
    running.stderr.close()


def test_a_bad_row_is_named_and_the_rest_is_measured(home: Home) -> None:
    file = home.folder / "list.txt"
    file.write_text("https://a.example/\nnot a url\nhttps://b.test/\n")
    said = home.call("run", "--targets", str(file), "-o", "-")
    assert said.returncode == 0
    measured = {one.input for one in records(said.stdout) if one.input}
    assert measured == {"https://a.example/", "https://b.test/"}
    assert f"{file}:2: " in said.stderr


@pytest.mark.parametrize("text", ["", "not a url\n"])
def test_a_list_with_nothing_in_it_exits_with_2(home: Home, text: str) -> None:
    file = home.folder / "list.txt"
    file.write_text(text)
    said = home.call("run", "--targets", str(file))
    assert said.returncode == 2
    assert "nothing in it can be measured" in said.stderr


def test_every_repeats_until_it_is_stopped(home: Home) -> None:
    out = home.folder / "out.jsonl"
    running = home.begin("run", OK, "--lab", "--every", "1s", "--quiet", "-o", str(out))
    until = time.monotonic() + 15
    while time.monotonic() < until and not (out.exists() and out.read_text().count('"run"') >= 6):
        time.sleep(0.1)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=10)
    assert running.returncode == 0
    runs = [one.run for one in records(out.read_text()) if one.experiment == "run"]
    assert len(set(runs)) == len(runs) >= 2


def test_a_dry_run_names_everything_and_writes_nothing(stranger: Home) -> None:
    said = stranger.call(
        "run", "https://x.example/", "--dry-run", "-o", "out.jsonl", "--collector", "https://c.test"
    )
    assert said.returncode == 0
    assert "target https://x.example/" in said.stdout
    assert "collector https://c.test" in said.stdout
    assert list(stranger.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ftp://x/",), "scheme"),
        (("-e", "nonsense"), "there is no experiment"),
        (("--targets", "no-such-list"), "no-such-list"),
        (("--ca-file", "x.pem"), "--lab"),
        (("--lab", "--ca-file", "absent.pem"), "absent.pem"),
        (("--every", "soon"), "duration"),
        (("--collector", "http://c.example"), "plain http"),
        (("--resolver", "dns.example"), "expected IP"),
        (("--concurrency", "0"), "1 to 256"),
        (("--max-time", "-1"), "above 0"),
        (("-o", "no/such/folder/x"), "No such file"),
        (("-o", "-", "--json"), "stdout"),
        (("--config", "absent.toml"), "no such file"),
    ],
)
def test_what_cannot_be_understood_exits_with_2_and_one_line(
    home: Home, words: tuple[str, ...], expected: str
) -> None:
    said = home.call("run", *(words if "ftp://x/" in words else (OK, *words)))
    assert said.returncode == 2
    assert expected in said.stderr
    assert "Traceback" not in said.stderr
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--collector", "https://u:p@host"), "takes no user name"),
        (("--control", "http://c.example"), "plain http"),
        (("--resolver", "dns.example"), "expected IP"),
        (("--lab", "--ca-file", "absent.pem"), "absent.pem"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses(
    stranger: Home, words: tuple[str, ...], expected: str
) -> None:
    said = stranger.call("run", OK, "--dry-run", *words)
    assert (said.returncode, said.stdout) == (2, "")
    assert expected in said.stderr
    assert list(stranger.folder.iterdir()) == []


def test_max_time_is_kept_to_within_a_second(home: Home) -> None:
    manners = json.dumps({f"slow{n}.test": "slow" for n in range(5)})
    urls = [f"https://slow{n}.test/" for n in range(5)]
    started = time.monotonic()
    said = home.call("run", OK, *urls, "--max-time", "2", "-o", "-", manners=manners)
    assert time.monotonic() - started < 3.0
    facts = records(said.stdout)[-1].facts
    assert facts is not None
    assert facts.ended == "time"
    assert len(facts.skipped) == 5


def test_a_second_run_confirms_the_first(home: Home) -> None:
    stages = []
    for _ in range(2):
        said = home.call("run", "https://a.example/", "https://bad.test/", "--json", manners=BAD)
        found = {one["input"]: one for one in map(json.loads, said.stdout.splitlines())}
        stages.append(found["https://bad.test/"]["stage"])
        assert found[OK]["stage"] == "suspected"
    assert stages == ["suspected", "confirmed"]
