"""An installation that fails half-way leaves everything as it was."""

import sys
from pathlib import Path

import pytest

from probe.admin import schedule
from probe.admin.launchd import Launchd
from probe.admin.schtasks import Schtasks
from probe.admin.systemd import ALWAYS, IN_USER_NAMESPACE, Systemd
from probe.admin.timers import ScheduleError, TimerBackend, TimerJob
from tests.probe.admin.fake_tools import SYSTEMCTL, tool, tree, user

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes are shell scripts")

JOB = TimerJob(("/opt/qazprobe", "run", "--quiet"), 21600, 7 * 60)
OTHER = TimerJob(("/opt/qazprobe", "run", "--quiet"), 900, 7 * 60)
BEAT = TimerJob(("/opt/qazprobe", "upload", "--quiet"), 300, 60)
SYSTEMD_RUN = """#!/bin/sh
echo "$@" >> "$HOME/systemd-run.log"
test ! -e "$HOME/no-namespaces" || { echo "exit status 218" >&2; exit 218; }
"""
LAUNCHCTL = """#!/bin/sh
echo "$@" >> "$HOME/launchctl.log"
case "$*" in
print*) exit 113;;
bootstrap*heartbeat*) test ! -e "$HOME/fail" || {
    echo "Bootstrap failed: 5: Input/output error" >&2; exit 5; };;
esac
"""
# Windows answers in its own language and code page.
SCHTASKS = """#!/bin/sh
mkdir -p "$HOME/tasks"
case "$1" in
/Create) case "$*" in *heartbeat*) test ! -e "$HOME/fail" || {
    printf '\\216\\350\\n' >&2; exit 1; }; esac; echo > "$HOME/tasks/$4";;
/Query) test -e "$HOME/tasks/$3" || { printf '\\216\\350\\n' >&2; exit 1; }; printf '\\217: x\\n';;
/Delete) rm "$HOME/tasks/$4";;
esac
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return user(tmp_path, monkeypatch)


def units(home: Path) -> dict[str, bytes]:
    found = (home / ".config").rglob("*.*") if (home / ".config").exists() else ()
    return {path.name: path.read_bytes() for path in found if path.is_file()}


@pytest.mark.parametrize("failure", ["fail-reload", "fail-heartbeat"])
def test_a_failed_installation_leaves_no_unit_and_no_folder(home: Path, failure: str) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    (home / failure).touch()
    before = set(tree(home))
    with pytest.raises(ScheduleError, match="systemctl failed: Failed to"):
        Systemd().install(JOB, BEAT)
    assert set(tree(home)) == before | {"systemctl.log"}


@pytest.mark.parametrize("failure", ["fail-reload", "fail-heartbeat"])
def test_a_failed_installation_restores_the_previous_one(home: Path, failure: str) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    Systemd().install(OTHER)
    link = home / ".config/systemd/user/timers.target.wants/qazprobe.timer"
    link.parent.mkdir()
    link.symlink_to("../qazprobe.timer")
    before = units(home)
    (home / failure).touch()
    with pytest.raises(ScheduleError, match="systemctl failed"):
        Systemd().install(JOB, BEAT)
    assert units(home) == before
    log = (home / "systemctl.log").read_text().splitlines()
    assert log[-1] == "--user enable --now qazprobe.timer"


def test_a_folder_that_cannot_be_written_is_one_line(home: Path) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    (home / ".config").write_text("a file where a folder is expected")
    with pytest.raises(ScheduleError, match=r"\.config"):
        Systemd().install(JOB)
    assert schedule.survey().installed == ()


def test_the_link_goes_even_where_systemd_does_not_answer(home: Path) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    Systemd().install(JOB)
    link = home / ".config/systemd/user/timers.target.wants/qazprobe.timer"
    link.parent.mkdir()
    link.symlink_to("../qazprobe.timer")
    tool(home, "systemctl", "#!/bin/sh\necho 'Failed to connect to bus' >&2; exit 1\n")
    assert Systemd().remove()
    assert not link.is_symlink()
    assert units(home) == {}


def test_a_timer_that_systemd_keeps_is_told(home: Path) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    Systemd().install(JOB)
    tool(home, "systemctl", "#!/bin/sh\necho ActiveState=active\n")
    with pytest.raises(ScheduleError, match=r"systemctl --user stop qazprobe\.timer"):
        Systemd().remove()


def test_bytes_of_systemctl_that_are_no_text_are_shown_replaced(home: Path) -> None:
    tool(home, "systemctl", "#!/bin/sh\nprintf 'NextElapseUSecRealtime=\\347\\362\\n'\n")
    Systemd().install(JOB)
    assert "next at \ufffd\ufffd" in str(Systemd().status())


def test_user_namespaces_are_used_where_they_work(home: Path) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    tool(home, "systemd-run", SYSTEMD_RUN)
    Systemd().install(JOB)
    unit = units(home)["qazprobe.service"].decode().splitlines()
    assert {*ALWAYS, *IN_USER_NAMESPACE} <= set(unit)
    tried = (home / "systemd-run.log").read_text()
    assert all(f"--property={option}" in tried for option in IN_USER_NAMESPACE)
    (home / "no-namespaces").touch()
    Systemd().install(JOB)
    unit = units(home)["qazprobe.service"].decode().splitlines()
    assert set(ALWAYS) <= set(unit)
    assert not set(IN_USER_NAMESPACE) & set(unit)


def test_a_failed_run_is_in_the_status(home: Path) -> None:
    tool(home, "systemctl", SYSTEMCTL)
    Systemd().install(JOB)
    tool(home, "systemctl", SYSTEMCTL + 'case "$*" in *Result*) echo Result=exit-code;; esac\n')
    assert "the last run failed (exit-code)" in str(Systemd().status())


@pytest.mark.parametrize(
    ("backend", "name", "script", "where"),
    [
        (Launchd(), "launchctl", LAUNCHCTL, "Library/LaunchAgents"),
        (Schtasks(), "schtasks", SCHTASKS, "tasks"),
    ],
)
def test_two_jobs_or_none(
    home: Path, backend: TimerBackend, name: str, script: str, where: str
) -> None:
    tool(home, name, script)
    (home / "fail").touch()
    with pytest.raises(ScheduleError, match=f"{name} failed: "):
        backend.install(JOB, BEAT)
    assert list((home / where).iterdir()) == []
    assert backend.status() is None
    (home / "fail").unlink()
    backend.install(JOB, BEAT)
    assert len(list((home / where).iterdir())) == 2
    assert backend.status() is not None
    assert backend.has_heartbeat()
    assert backend.remove()
    assert list((home / where).iterdir()) == []


def test_a_launch_agent_that_fails_restores_the_previous_one(home: Path) -> None:
    tool(home, "launchctl", LAUNCHCTL)
    Launchd().install(OTHER)
    agents = home / "Library/LaunchAgents"
    before = {path.name: path.read_bytes() for path in agents.iterdir()}
    (home / "fail").touch()
    with pytest.raises(ScheduleError, match="Bootstrap failed"):
        Launchd().install(JOB, BEAT)
    assert {path.name: path.read_bytes() for path in agents.iterdir()} == before


def test_an_unknown_code_of_schtasks_stops_it(home: Path) -> None:
    tool(home, "schtasks", "#!/bin/sh\nexit 87\n")
    with pytest.raises(ScheduleError, match="exit code 87"):
        Schtasks().install(JOB)
    assert schedule.survey().problems == ("schtasks: schtasks failed: exit code 87",)


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert "set HOME" in schedule.survey().problems[0]
    assert schedule.heartbeat_installed() is False
