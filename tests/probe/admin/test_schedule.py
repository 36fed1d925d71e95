import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from probe.admin import consent
from probe.admin.schedule import (
    BACKENDS,
    PERIODS,
    choose,
    heartbeat_installed,
    heartbeat_job,
    installed,
    run_job,
    shown,
)
from probe.admin.timers import ScheduleError, TimerJob
from probe.commands.schedule import command
from probe.config import duration
from probe.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes are shell scripts")

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/systemctl.log"
case "$*" in *is-enabled*) test -e "$HOME/.config/systemd/user/qazprobe.timer";; esac
"""
CRONTAB = """#!/bin/sh
case "$1" in
-l) test -e "$HOME/crontab" || { echo "no crontab for me" >&2; exit 1; }; cat "$HOME/crontab";;
-r) rm "$HOME/crontab";;
-) cat > "$HOME/crontab";;
esac
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate user whose PATH has only the tools of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "bin").mkdir()
    for tool in ("cat", "rm", "test"):
        if found := shutil.which(tool, path=os.defpath):
            (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def tool(home: Path, name: str, script: str) -> None:
    path = home / "bin" / name
    path.write_text(script)
    path.chmod(0o755)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)


def made(every: int = 21600, offset: int = 3 * 3600 + 7 * 60, *arguments: str) -> TimerJob:
    home = (("QAZPROBE_HOME", "/home/v/q%h"),)
    return TimerJob(("/opt/qaz probe/qazprobe", "run", *arguments), every, offset, home)


def test_systemd_is_installed_seen_and_removed(home: Path) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    assert run("install", "--every", "6h", "--", "--targets", "kz").exit_code == 0
    units = home / ".config/systemd/user"
    assert {path.name for path in units.iterdir()} == {"qazprobe.service", "qazprobe.timer"}
    assert not heartbeat_installed()
    assert "Persistent=true" in (units / "qazprobe.timer").read_text()
    service = (units / "qazprobe.service").read_text()
    assert "run --quiet --unmetered-only --min-battery 30 --targets kz\n" in service
    assert "enable --now qazprobe.timer" in (home / "systemctl.log").read_text()
    assert "systemd: enabled" in run("status").output
    assert "removed from systemd" in run("remove").output
    assert not units.exists()
    assert "disable --now qazprobe.timer" in (home / "systemctl.log").read_text()
    assert run("status").return_value == 1


def test_the_rest_of_a_crontab_is_not_touched(home: Path) -> None:
    tool(home, "crontab", CRONTAB)
    mine = "# mine\n5 4 * * * backup\n"
    (home / "crontab").write_text(mine)
    for every in ("6h", "15m"):
        run("install", "--every", every)
    text = (home / "crontab").read_text()
    assert text.startswith(mine)
    assert text.count("BEGIN qazprobe") == 1
    assert "cron: " in run("status").output
    run("remove")
    assert (home / "crontab").read_text() == mine


def test_a_crontab_of_ours_alone_is_removed_whole(home: Path) -> None:
    tool(home, "crontab", CRONTAB)
    run("install")
    run("remove")
    assert not (home / "crontab").exists()


def test_print_installs_nothing(home: Path) -> None:
    tool(home, "crontab", CRONTAB)
    assert "# BEGIN qazprobe" in run("install", "--print").output
    assert not (home / "crontab").exists()
    assert installed() == []


def test_a_machine_without_a_timer_gets_a_hint(home: Path) -> None:
    if sys.platform == "linux":
        with pytest.raises(UserError, match="run --every"):
            run("install")


def test_a_tool_that_fails_is_one_line(home: Path) -> None:
    tool(home, "crontab", "#!/bin/sh\necho 'not allowed to use this' >&2\nexit 1\n")
    with pytest.raises(
        UserError, match="crontab cannot be read, and was not changed: crontab -l: not allowed"
    ):
        run("install", "--with", "cron")


def test_only_periods_of_every_timer_are_accepted() -> None:
    with pytest.raises(ScheduleError, match=r"every 7h: .* possible are 15m, 20m, .*12h, 1d"):
        run_job((), 7 * 3600)
    for text in ("90s", "15m", "90m", "7h", "36h", "2d"):
        assert shown(duration(text)) == text
    with pytest.raises(ScheduleError, match="line breaks"):
        run_job(("--targets", "x\n* * * * * evil"), 3600)
    assert {run_job((), every).every for every in PERIODS} == set(PERIODS)


def test_offsets_are_random() -> None:
    assert len({run_job((), 21600).offset for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("every", "cron", "calendar"),
    [
        (900, "7-59/15 * * * *", "*-*-* *:07/15:00"),
        (3600, "7 0-23/1 * * *", "*-*-* 00/1:07:00"),
        (21600, "7 3-23/6 * * *", "*-*-* 03/6:07:00"),
        (86400, "7 3 * * *", "*-*-* 03:07:00"),
    ],
)
def test_every_timer_has_its_own_time_format(every: int, cron: str, calendar: str) -> None:
    assert BACKENDS["cron"].render(made(every)).splitlines()[1].startswith(cron + " ")
    assert f"OnCalendar={calendar}\n" in BACKENDS["systemd"].render(made(every))
    analyser = shutil.which("systemd-analyze")
    if analyser:
        subprocess.run([analyser, "calendar", calendar], check=True, capture_output=True)


def test_paths_with_spaces_and_percent_signs_survive() -> None:
    unit = BACKENDS["systemd"].render(made())
    assert 'ExecStart="/opt/qaz probe/qazprobe" run' in unit
    assert 'Environment="QAZPROBE_HOME=/home/v/q%%h"' in unit
    line = BACKENDS["cron"].render(made()).splitlines()[1]
    assert "QAZPROBE_HOME=/home/v/q\\%h '/opt/qaz probe/qazprobe' run" in line
    task = BACKENDS["schtasks"].render(made())
    assert re.search(r"/SC MINUTE /MO 360 /ST 03:07", task)
    job = plistlib.loads(BACKENDS["launchd"].render(made()).encode())
    assert job["ProgramArguments"][0] == "/opt/qaz probe/qazprobe"
    assert job["StartInterval"] == 21600


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyser = shutil.which("systemd-analyze")
    if analyser is None:
        pytest.skip("systemd-analyze is not installed")
    text = BACKENDS["systemd"].render(run_job((), 3600))
    service = tmp_path / "qazprobe.service"
    service.write_text(text.partition("\n")[2].partition("\n# ")[0])
    done = subprocess.run(
        [analyser, "verify", "--user", str(service)], capture_output=True, text=True, check=False
    )
    assert "Unknown" not in done.stderr


def test_a_named_timer_is_chosen() -> None:
    assert choose("cron").name == "cron"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--nosuch",), "options of run after --: No such option"),
        (("--max-time", "soon"), "options of run after --: .*is not a valid float"),
        (("--max-time", "-1"), "--max-time: -1.0; expected a number above 0"),
        (("--every", "1s"), "a minute or more"),
        (("-e", "nonsense"), "there is no experiment"),
        (("ftp://x/",), "scheme"),
        (("--targets", "no-such-list"), "no-such-list"),
        (("--collector", "https://u:p@host"), "user name or query is not allowed"),
        (("--config", "absent.toml"), "no such file"),
        (("-o", "-", "--json"), "both write to stdout"),
    ],
)
def test_what_run_would_refuse_is_not_installed(
    home: Path, arguments: tuple[str, ...], expected: str
) -> None:
    tool(home, "crontab", CRONTAB)
    with pytest.raises(UserError, match=expected) as refused:
        run("install", "--no-heartbeat", "--", *arguments)
    assert "\n" not in str(refused.value)
    assert not (home / "crontab").exists()


# --- the heartbeat --------------------------------------------------------------------------------

COLLECTOR = ("--", "--collector", "https://c.example", "--invite", "token", "--max-time", "900")


def agree(home: Path, *, heartbeat: bool = True) -> None:
    (home / "state").mkdir(exist_ok=True)
    consent.record(home / "state", "en", heartbeat=heartbeat)


def test_an_allowed_heartbeat_is_installed(home: Path) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    agree(home)
    said = run("install", *COLLECTOR).output
    assert "a heartbeat every five minutes" in said
    units = home / ".config/systemd/user"
    assert {path.name for path in units.iterdir()} == {
        f"{name}.{kind}"
        for name in ("qazprobe", "qazprobe-heartbeat")
        for kind in ("service", "timer")
    }
    service = (units / "qazprobe-heartbeat.service").read_text()
    assert "upload --quiet --max-time 60 --collector https://c.example --invite token\n" in service
    assert "Persistent" not in (units / "qazprobe-heartbeat.timer").read_text()
    assert "heartbeat" in run("status").output
    assert heartbeat_installed()
    run("install", "--no-heartbeat", *COLLECTOR)
    assert {path.name for path in units.iterdir()} == {"qazprobe.service", "qazprobe.timer"}
    run("install", "--heartbeat", *COLLECTOR)
    run("remove")
    assert not units.exists()
    assert "disable --now qazprobe-heartbeat.timer" in (home / "systemctl.log").read_text()


def test_a_crontab_has_a_second_line_that_sends_no_mail(home: Path) -> None:
    tool(home, "crontab", CRONTAB)
    agree(home)
    run("install", *COLLECTOR)
    lines = (home / "crontab").read_text().splitlines()
    assert len(lines) == 4
    assert re.match(r"[0-4]-59/5 \* \* \* \* ", lines[2])
    assert lines[2].endswith(">/dev/null 2>&1")
    assert "upload --quiet" in run("status").output
    assert heartbeat_installed()
    run("remove")
    assert not (home / "crontab").exists()


@pytest.mark.parametrize(
    ("allowed", "arguments", "why"),
    [
        (False, COLLECTOR, "consent --heartbeat"),
        (True, (), "no collector"),
        (True, (*COLLECTOR, "--no-upload"), "no collector"),
    ],
)
def test_no_heartbeat_without_consent_and_a_collector(
    home: Path, *, allowed: bool, arguments: tuple[str, ...], why: str
) -> None:
    tool(home, "crontab", CRONTAB)
    agree(home, heartbeat=allowed)
    assert why in run("install", *arguments).output
    assert len((home / "crontab").read_text().splitlines()) == 3
    with pytest.raises(UserError, match=why):
        run("install", "--heartbeat", *arguments)


def test_the_environment_does_not_enable_the_heartbeat(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(home, "crontab", CRONTAB)
    agree(home)
    monkeypatch.setenv("QAZPROBE_COLLECTOR", "https://only-in-this-shell.example")
    run("install")
    assert len((home / "crontab").read_text().splitlines()) == 3
    (home / "state" / "qazprobe.toml").write_text('collector = ["https://c.example"]\n')
    run("install")
    assert (home / "crontab").read_text().splitlines()[2].count("--collector") == 0


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_every_timer_shows_both_jobs(name: str) -> None:
    text = BACKENDS[name].render(run_job((), 21600), heartbeat_job(()))
    assert text.count("run --quiet") + text.count("<string>run</string>") == 1
    assert text.count("upload --quiet") + text.count("<string>upload</string>") == 1


def test_a_heartbeat_has_a_random_second() -> None:
    beat = TimerJob(("qazprobe", "upload"), 300, 4 * 60 + 37)
    assert "OnCalendar=*-*-* *:04/5:37\n" in BACKENDS["systemd"].render(beat)
    assert "4-59/5 * * * *" in BACKENDS["cron"].render(beat)
    assert "/SC MINUTE /MO 5" in BACKENDS["schtasks"].render(beat)
