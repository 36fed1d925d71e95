"""Whole runs as processes over a fake network: exit codes, locks, signals, full disks."""

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
from tests.probe import fake_cli

ROOT = Path(__file__).parents[3]
BAD = json.dumps({"bad.test": "reset"})
OK = "https://a.example/"


@dataclass(frozen=True)
class Completed:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


class Home:
    """A home folder, and the command with it as `$QAZPROBE_HOME`."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capture = capture
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("QAZPROBE_")},
            "QAZPROBE_HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "QAZPROBE_EXPERIMENTS": "web",
        }

    def argv(self, *words: str, behaviours: str = "{}") -> list[str]:
        return [sys.executable, "-m", "tests.probe.fake_cli", behaviours, *words]

    def call(self, *words: str, behaviours: str = "{}", **env: str) -> Completed:
        """Run the command in this process, which saves the start of another one."""
        before = Path.cwd()
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("QAZPROBE_")]:
                patch.delenv(name)
            for name, value in {**self.env, **env}.items():
                patch.setenv(name, value)
            os.chdir(self.folder)
            try:
                fake_cli.call(behaviours, words, patch)
            except SystemExit as left:
                code = left.code
            finally:
                os.chdir(before)
        out, err = self.capture.readouterr()
        return Completed(int(code or 0), out, err)

    def begin(self, *words: str, behaviours: str = "{}", **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*words, behaviours=behaviours),
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
def home_without_consent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Home:
    """A home of a user who has not consented."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Home(folder, capfd)


@pytest.fixture
def home(home_without_consent: Home) -> Home:
    """A home of a volunteer who has consented."""
    assert home_without_consent.call("consent", "--yes").returncode == 0
    return home_without_consent


def records(text: str) -> list[Record]:
    return [codec.decode(line.encode()) for line in text.splitlines()]


def wait_for(path: Path, needle: str, times: int = 1, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists() and path.read_text(errors="replace").count(needle) >= times:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never contained {needle}")


def test_a_run_writes_records_and_exits_with_0_whatever_the_outcomes(home: Home) -> None:
    done = home.call("run", OK, "https://bad.test/", "-o", "-", behaviours=BAD)
    assert done.returncode == 0, done.stderr
    found = records(done.stdout)
    assert [one.experiment for one in found] == ["web", "web", "run"]
    assert {one.verdict.outcome for one in found if one.verdict} == {"ok", "blocked"}
    assert done.stderr == ""


def test_without_consent_nothing_is_measured(home_without_consent: Home) -> None:
    done = home_without_consent.call("run", OK, "-o", "out.jsonl")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "qazprobe consent" in done.stderr
    assert not (home_without_consent.folder / "out.jsonl").exists()


def test_a_control_needs_no_consent(home_without_consent: Home) -> None:
    done = home_without_consent.call("run", OK, "--role", "control", "-o", "-")
    assert done.returncode == 0, done.stderr


def test_quiet_prints_nothing(home: Home) -> None:
    done = home.call("run", OK, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_table_is_shown_when_stdout_is_free(home: Home) -> None:
    done = home.call("run", OK, "https://bad.test/", behaviours=BAD)
    assert "https://bad.test" in done.stdout
    assert "2 measured: 1 blocked, 1 ok" in done.stdout


def test_json_is_a_line_for_each_record(home: Home) -> None:
    done = home.call("run", OK, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["input"] for line in lines] == [OK, ""]
    assert lines[0]["outcome"] == "ok"
    assert lines[1]["facts"]["measured"] == 1


def test_fail_on_exits_with_10(home: Home) -> None:
    found = ("run", OK, "https://bad.test/", "--quiet", "--fail-on")
    assert home.call(*found, "blocked,intercepted", behaviours=BAD).returncode == 10
    assert home.call(*found, "throttled", behaviours=BAD).returncode == 0
    assert home.call(*found, "nonsense", behaviours=BAD).returncode == 2


def test_a_dead_line_exits_with_3_and_records_are_written(home: Home) -> None:
    done = home.call("run", OK, "-o", "out.jsonl", FAKE_DEAD="1")
    assert done.returncode == 3
    found = records((home.folder / "out.jsonl").read_text())
    assert [one.experiment for one in found] == ["web", "run"]


def test_a_bug_exits_with_1_and_is_logged(home: Home) -> None:
    done = home.call("run", OK, "https://b.test/", "-o", "-", behaviours='{"b.test": "bug"}')
    assert done.returncode == 1
    assert [one.input for one in records(done.stdout)] == [OK, ""]
    log = (home.folder / "bugs.log").read_text()
    assert "ZeroDivisionError" in log
    assert "Traceback" not in done.stderr


def test_an_unreachable_collector_exits_with_4_and_records_stay_in_the_spool(home: Home) -> None:
    collector = ("--collector", "http://127.0.0.1:9", "--max-time", "4")
    done = home.call("run", OK, "--control", "none", *collector)
    assert done.returncode == 4
    assert "kept for later" in done.stderr
    kept = Spool(home.folder).batch("http://127.0.0.1:9")
    assert kept is not None
    assert len(kept.lines) == 2


def test_no_upload_is_no_failure(home: Home) -> None:
    collector = ("--collector", "http://127.0.0.1:9", "--no-upload")
    assert home.call("run", OK, *collector, "--quiet").returncode == 0


def test_another_run_holds_the_lock(home: Home) -> None:
    first = home.begin("run", OK, "--quiet", "-o", "first.jsonl", FAKE_DELAY="30")
    wait_for(home.folder / "first.jsonl.partial", "")  # it is opened under the lock
    done = home.call("run", OK, "--quiet")
    assert done.returncode == 5
    assert "another run" in done.stderr
    first.kill()
    first.communicate()
    assert home.call("run", OK, "--quiet").returncode == 0


def test_a_run_that_is_refused_the_lock_touches_no_file(home: Home) -> None:
    out = home.folder / "out.jsonl"
    first = home.begin("run", OK, "--quiet", "-o", str(out), FAKE_DELAY="30")
    wait_for(home.folder / "out.jsonl.partial", "")
    out.write_text("kept\n")
    assert home.call("run", OK, "--quiet", "-o", str(out)).returncode == 5
    assert home.call("run", OK, "--quiet", "-o", str(out), "--append").returncode == 5
    assert out.read_text() == "kept\n"
    assert home.call("run", OK, "-o", "new.jsonl", "--lab").returncode == 5
    assert not list(home.folder.glob("new.jsonl*"))
    first.kill()
    first.communicate()


def test_a_killed_run_leaves_the_file_and_its_own_records_beside_it(home: Home) -> None:
    out = home.folder / "out.jsonl"
    out.write_text("old\n")
    behaviours = json.dumps({"slow.test": "slow"})
    running = home.begin("run", OK, "https://slow.test/", "-o", str(out), behaviours=behaviours)
    partial = home.folder / "out.jsonl.partial"
    wait_for(partial, OK)
    running.kill()
    running.communicate()
    assert out.read_text() == "old\n"
    left = partial.read_bytes()
    done = home.call("run", OK, "-o", str(out))
    (kept,) = home.folder.glob("out.jsonl.partial-*")
    assert kept.read_bytes() == left
    assert f"{kept}: written by a run that was killed" in done.stderr
    assert len(records(out.read_text())) == 2
    assert home.call("run", OK, "-o", str(out)).stderr == ""


def test_append_adds_to_a_file_and_removes_a_line_that_was_cut(home: Home) -> None:
    out = home.folder / "out.jsonl"
    assert home.call("run", OK, "-o", str(out)).returncode == 0
    with out.open("a") as file:
        file.write('{"id":"cut')
    done = home.call("run", OK, "-o", str(out), "--append")
    assert (done.returncode, len(records(out.read_text()))) == (0, 4)
    assert "its last line was cut off after 10 bytes, and is removed" in done.stderr
    out.write_text("a diary")
    done = home.call("run", OK, "-o", str(out), "--append")
    assert done.returncode == 2
    assert "its last line is not a record" in done.stderr
    assert out.read_text() == "a diary"
    assert home.call("run", OK, "--append").returncode == 2


def test_a_fifo_is_written_to_directly(home: Home) -> None:
    os.mkfifo(home.folder / "pipe")
    running = home.begin("run", OK, "--quiet", "-o", str(home.folder / "pipe"))
    with (home.folder / "pipe").open() as pipe:
        assert len(records(pipe.read())) == 2
    running.communicate(timeout=10)
    assert running.returncode == 0


def test_dev_stdout_continues_the_file_that_stdout_is(home: Home) -> None:
    out = home.folder / "all.jsonl"
    for _ in range(2):
        with out.open("ab") as file:
            argv = home.argv("run", OK, "--quiet", "-o", "/dev/stdout")
            subprocess.run(argv, env=home.env, stdout=file, check=True, timeout=30)
    assert len(records(out.read_text())) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_measuring_and_records_are_written(
    home: Home, number: signal.Signals
) -> None:
    behaviours = json.dumps({"bad.test": "reset", "slow.test": "slow"})
    out = home.folder / "out.jsonl"
    running = home.begin(
        "run", OK, "https://slow.test/", "https://bad.test/", "-o", str(out), behaviours=behaviours
    )
    wait_for(home.folder / "held.jsonl", "bad.test")
    wait_for(home.folder / "out.jsonl.partial", OK)
    assert not out.exists()
    running.send_signal(number)
    started = time.monotonic()
    _, err = running.communicate(timeout=30)
    assert time.monotonic() - started < 15.0  # the slow site takes 30
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


def test_the_next_run_recovers_the_records_of_a_killed_run(home: Home) -> None:
    behaviours = json.dumps({"bad.test": "reset", "slow.test": "slow"})
    running = home.begin("run", "https://slow.test/", "https://bad.test/", behaviours=behaviours)
    wait_for(home.folder / "held.jsonl", "bad.test")
    running.kill()
    running.communicate()
    (held,) = Journal(home.folder).held()
    assert home.spooled() == []
    assert home.call("run", OK, "--quiet").returncode == 0
    assert home.call("run", OK, "--quiet").returncode == 0
    kept = home.spooled()
    assert [one.id for one in kept].count(held.id) == 1
    again = next(one for one in kept if one.id == held.id)
    assert again.verdict is not None
    assert again.verdict.outcome == "inconclusive"
    assert Journal(home.folder).held() == ()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_costs_a_warning_and_the_exit_code_not_the_run(home: Home) -> None:
    done = home.call("run", OK, "https://b.test/", "-o", "/dev/full")
    assert done.returncode == 1
    assert done.stderr.count("cannot write") == 1
    assert "Traceback" not in done.stderr
    assert len(home.spooled()) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="needs setrlimit")
def test_a_full_state_folder_does_not_affect_the_output(home: Home) -> None:
    # Files may not grow: the same as a full disk for everything but the pipe on stdout.
    limited = "import resource, runpy, signal, sys; "
    limited += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    limited += "sys.argv = sys.argv[1:]; sys.argv.insert(0, 'fake_cli'); "
    limited += "runpy.run_module('tests.probe.fake_cli', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", limited, BAD, "run", OK, "https://bad.test/", "-o", "-"],
        env=home.env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert [one.experiment for one in records(done.stdout)] == ["web", "web", "run"]
    assert "Traceback" not in done.stderr
    assert done.stderr.count("cannot write into the state folder") == 1


def test_a_closed_pipe_is_no_error(home: Home) -> None:
    running = home.begin("run", OK, "https://b.test/", "-o", "-", FAKE_DELAY="0.3")
    assert running.stdout is not None
    running.stdout.close()
    assert running.wait(timeout=10) == 0
    assert running.stderr is not None
    assert running.stderr.read() == ""
    running.stderr.close()


def test_a_bad_row_is_reported_and_the_rest_is_measured(home: Home) -> None:
    file = home.folder / "list.txt"
    file.write_text("https://a.example/\nnot a url\nhttps://b.test/\n")
    done = home.call("run", "--targets", str(file), "-o", "-")
    assert done.returncode == 0
    measured = {one.input for one in records(done.stdout) if one.input}
    assert measured == {"https://a.example/", "https://b.test/"}
    assert f"{file}:2: " in done.stderr


@pytest.mark.parametrize("text", ["", "not a url\n"])
def test_an_empty_list_exits_with_2(home: Home, text: str) -> None:
    file = home.folder / "list.txt"
    file.write_text(text)
    done = home.call("run", "--targets", str(file))
    assert done.returncode == 2
    assert "nothing in it can be measured" in done.stderr


def test_every_repeats_until_it_is_stopped(home: Home) -> None:
    out = home.folder / "out.jsonl"
    assert home.call("run", OK, "-o", str(out)).returncode == 0
    running = home.begin("run", OK, "--lab", "--every", "1s", "--quiet", "-o", str(out))
    wait_for(out, '"run"', times=9)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=10)
    assert running.returncode == 0
    runs = [one.run for one in records(out.read_text()) if one.experiment == "run"]
    assert len(set(runs)) == len(runs) >= 3  # the earlier run's record is still there


def test_lists_are_read_anew_for_each_round(home: Home) -> None:
    out, file = home.folder / "out.jsonl", home.folder / "list.txt"
    file.write_text("https://a.example/\n")
    options = ("--lab", "--every", "1s", "--quiet", "-o", str(out))
    running = home.begin("run", "--targets", str(file), *options)
    wait_for(out, "https://a.example/")
    file.write_text("https://b.test/\n")
    wait_for(out, "https://b.test/")
    file.write_text("nonsense\n")  # the old targets are measured on
    rounds = out.read_text().count('"run"')
    wait_for(out, '"run"', times=rounds + 4)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=10)
    assert running.returncode == 0
    assert records(out.read_text())[-2].input == "https://b.test/"


def test_what_was_left_out_is_said_at_the_end(home: Home) -> None:
    file = home.folder / "list.csv"
    file.write_text("url;category_code\nhttps://a.example/;NEWS\nhttps://b.test/;PORN\n")
    done = home.call("run", "--targets", str(file))
    assert "1 target is left out by its category (1 PORN)" in done.stderr
    assert "b.test" not in done.stdout
    chosen = home.call("run", "--targets", str(file), "--categories", "-NEWS,+PORN", "--json")
    measured = {one["input"] for one in map(json.loads, chosen.stdout.splitlines())}
    assert measured == {"https://b.test/", ""}
    assert home.call("run", "--targets", str(file), "--quiet").stderr == ""


def test_a_dry_run_lists_everything_and_writes_nothing(home_without_consent: Home) -> None:
    done = home_without_consent.call(
        "run", "https://x.example/", "--dry-run", "-o", "out.jsonl", "--collector", "https://c.test"
    )
    assert done.returncode == 0
    assert "target https://x.example/" in done.stdout
    assert "collector https://c.test" in done.stdout
    assert list(home_without_consent.folder.iterdir()) == []


def test_a_dry_run_tells_how_long_an_experiment_takes(home_without_consent: Home) -> None:
    done = home_without_consent.call("run", "-e", "connectivity", "--dry-run")
    assert "measured again after 300 s" in done.stdout


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
def test_invalid_input_exits_with_2_and_one_line(
    home: Home, words: tuple[str, ...], expected: str
) -> None:
    done = home.call("run", *(words if "ftp://x/" in words else (OK, *words)))
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--collector", "https://u:p@host"), "a user name or query is not allowed"),
        (("--control", "http://c.example"), "plain http"),
        (("--resolver", "dns.example"), "expected IP"),
        (("--lab", "--ca-file", "absent.pem"), "absent.pem"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses(
    home_without_consent: Home, words: tuple[str, ...], expected: str
) -> None:
    done = home_without_consent.call("run", OK, "--dry-run", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert list(home_without_consent.folder.iterdir()) == []


def test_max_time_is_kept_to_within_a_second(home: Home) -> None:
    behaviours = json.dumps({f"slow{n}.test": "slow" for n in range(5)})
    urls = [f"https://slow{n}.test/" for n in range(5)]
    started = time.monotonic()
    done = home.call("run", OK, *urls, "--max-time", "2", "-o", "-", behaviours=behaviours)
    assert time.monotonic() - started < 3.0
    facts = records(done.stdout)[-1].facts
    assert facts is not None
    assert facts.ended == "time"
    assert len(facts.skipped) == 5


def test_targets_that_were_left_out_are_told(home: Home) -> None:
    behaviours = json.dumps({f"slow{n}.test": "slow" for n in range(5)})
    words = ("run", OK, *(f"https://slow{n}.test/" for n in range(5)), "-e", "web", "-o", "-")
    words = (*words, "--max-time", "2")
    done = home.call(*words, behaviours=behaviours)
    assert (done.returncode, done.stderr) == (0, "5 of 6 targets were not measured: time was up\n")
    done = home.call(*words, "--quiet", "--fail-on", "unmeasured", behaviours=behaviours)
    assert (done.returncode, done.stderr) == (10, "")


def test_a_run_that_had_no_time_to_measure_anything_exits_with_3(home: Home) -> None:
    behaviours = json.dumps({"slow.test": "slow"})
    words = ("run", "https://slow.test/", "-e", "web", "--max-time", "1", "-o", "-")
    done = home.call(*words, behaviours=behaviours)
    assert done.returncode == 3
    assert done.stderr == "1 of 1 target was not measured: time was up\n"


def test_a_second_run_confirms_the_first(home: Home) -> None:
    stages = []
    for _ in range(2):
        done = home.call("run", "https://a.example/", "https://bad.test/", "--json", behaviours=BAD)
        found = {one["input"]: one for one in map(json.loads, done.stdout.splitlines())}
        stages.append(found["https://bad.test/"]["stage"])
        assert found[OK]["stage"] == "suspected"
    assert stages == ["suspected", "confirmed"]
