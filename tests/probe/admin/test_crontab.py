"""A crontab belongs to its user: it is changed only when it is clear what is in it."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings, strategies as st

from probe.admin import schedule
from probe.admin.crontab import Cron
from probe.admin.timers import ScheduleError, TimerJob
from probe.commands.schedule import command
from probe.errors import UserError
from tests.probe.admin.fake_tools import CRONTAB, tool, user

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes are shell scripts")

JOB = TimerJob(("/opt/qazprobe", "run", "--quiet"), 21600, 7 * 60)
BEAT = TimerJob(("/opt/qazprobe", "upload", "--quiet"), 300, 60)
CP1251 = "# проверка\n5 4 * * * резерв\n".encode("cp1251")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = user(tmp_path, monkeypatch)
    tool(made, "crontab", CRONTAB)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("no crontab for aizhan", 1),  # cronie, Debian
        ("crontab: no crontab for aizhan", 1),  # FreeBSD
        ("no crontab for aizhan", 0),  # dcron
        ("crontab: can't open 'aizhan': No such file or directory", 1),  # busybox
    ],
)
def test_every_way_to_have_no_crontab_is_known(home: Path, said: str, code: int) -> None:
    none = f"""-l) test -e "$HOME/crontab" || {{ echo "{said}" >&2; exit {code}; }}; cat"""
    tool(home, "crontab", CRONTAB.replace("-l)\n", none + ' "$HOME/crontab";;\nno)\n'))
    assert Cron().status() is None
    Cron().install(JOB, BEAT)
    assert (home / "crontab").read_bytes().count(b"\n") == 4
    assert Cron().has_heartbeat()
    assert Cron().remove()
    assert not (home / "crontab").exists()


@pytest.mark.parametrize(
    "failing",
    [
        "echo '* * * * * half'; exit 1",
        "echo \"crontab: can't open '/etc/cron.allow': Permission denied\" >&2; exit 1",
        "echo 'You (aizhan) are not allowed to use this program (crontab)' >&2; exit 1",
        "echo '/var/spool/cron: Input/output error' >&2; exit 1",
        "echo 'no crontab for aizhan' >&2; echo '* * * * * half'; exit 1",
        "echo 'no crontab for aizhan' >&2; exit 127",
        "echo 'line 3 is not valid' >&2; echo '* * * * * all'",
        "echo 'cannot read the whole of it' >&2",
        "exit 1",
        "kill -9 $$",
    ],
)
def test_an_answer_that_is_not_understood_stops_everything(home: Path, failing: str) -> None:
    (home / "crontab").write_bytes(CP1251)
    tool(home, "crontab", CRONTAB.replace("-l)\n", f"-l) {failing};;\nno)\n"))
    with pytest.raises(UserError, match="cannot be read, and was not changed") as stopped:
        run("install", "--with", "cron")
    assert "\n" not in str(stopped.value)
    assert (home / "crontab").read_bytes() == CP1251
    # What only looks goes on, and says so.
    assert [one.partition(":")[0] for one in schedule.survey().problems] == ["cron"]
    assert schedule.installed() == []
    assert schedule.heartbeat_installed() is False
    assert "cannot be read" in run("status").output
    removed = run("remove")
    assert (removed.return_value, "cannot be read" in removed.output) == (1, True)
    assert (home / "crontab").read_bytes() == CP1251


def test_a_crontab_in_another_encoding_survives(home: Path) -> None:
    (home / "crontab").write_bytes(CP1251)
    assert "installed with cron" in run("install", "--with", "cron").output
    assert (home / "crontab").read_bytes().startswith(CP1251)
    assert "run --quiet" in run("status").output
    assert run("install", "--with", "cron", "--every", "15m").exit_code == 0
    assert "removed from cron" in run("remove").output
    assert (home / "crontab").read_bytes() == CP1251


@given(text=st.binary(max_size=200))
@example(CP1251)
@example(CP1251.rstrip(b"\n"))
@example(b"\n")
@example(b" ")
@example(b"a\r\n\x00\xff\n")
@example(b"\n# BEGIN qazprobe (and the line break above)\n# END qazprobe\n")
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_the_same_after_install_and_remove(home: Path, text: bytes) -> None:
    crontab = home / "crontab"
    crontab.write_bytes(text)
    Cron().install(JOB)
    Cron().install(JOB, BEAT)
    assert Cron().has_heartbeat()
    assert Cron().remove()
    left = crontab.read_bytes() if crontab.exists() else b""
    # An empty block of ours in the bytes is ours to remove.
    assert left == (b"" if b"BEGIN qazprobe" in text else text)


def test_what_was_added_after_us_stays_on_lines_of_its_own(home: Path) -> None:
    (home / "crontab").write_bytes(b"5 4 * * * backup")
    Cron().install(JOB)
    with (home / "crontab").open("ab") as file:
        file.write(b"6 4 * * * other\n")
    Cron().remove()
    assert (home / "crontab").read_bytes() == b"5 4 * * * backup\n6 4 * * * other\n"


def test_a_crontab_that_demands_a_last_line_break_gets_it(home: Path) -> None:
    demanding = """-) cat > "$HOME/new"
  test -z "$(tail -c 1 "$HOME/new")" || { echo "new crontab file is missing newline before EOF,\
 can't install." >&2; exit 1; }
  cat "$HOME/new" > "$HOME/crontab";;
no)"""
    tool(home, "crontab", CRONTAB.replace("-)\n", demanding + "\n"))
    (home / "crontab").write_bytes(b"5 4 * * * backup")
    Cron().install(JOB)
    assert Cron().remove()
    assert (home / "crontab").read_bytes() == b"5 4 * * * backup\n"


@pytest.mark.parametrize(
    "text",
    [
        b"# BEGIN qazprobe\n5 4 * * * mine\n",
        b"# END qazprobe\n",
        b"# BEGIN qazprobe\n# BEGIN qazprobe\n# END qazprobe\n",
        b"# BEGIN qazprobe\n5 4 * * * mine\n# END qazprobe\n",
        b"# BEGIN qazprobe\r\n# END qazprobe\r\n",
    ],
)
def test_lines_between_our_markers_that_are_not_ours_stop_it(home: Path, text: bytes) -> None:
    (home / "crontab").write_bytes(text)
    for change in (lambda: Cron().install(JOB), Cron().remove):
        with pytest.raises(ScheduleError, match="crontab -e"):
            change()
    assert (home / "crontab").read_bytes() == text


def test_a_crontab_that_keeps_something_else_is_restored(home: Path) -> None:
    (home / "crontab").write_bytes(CP1251)
    mangling = """-) cat > "$HOME/new"
  test -e "$HOME/once" && cat "$HOME/new" > "$HOME/crontab" || echo mangled > "$HOME/crontab"
  echo > "$HOME/once";;
no)"""
    tool(home, "crontab", CRONTAB.replace("-)\n", mangling + "\n"))
    with pytest.raises(ScheduleError, match="the former crontab is restored"):
        Cron().install(JOB)
    assert (home / "crontab").read_bytes() == CP1251


def test_a_crontab_that_cannot_be_restored_is_saved_beside(home: Path) -> None:
    (home / "crontab").write_bytes(CP1251)
    tool(
        home,
        "crontab",
        CRONTAB.replace("-)\n", '-) cat > "$HOME/new"; echo x > "$HOME/crontab";;\nno)\n'),
    )
    with pytest.raises(ScheduleError, match="crontab-saved-by-qazprobe"):
        Cron().install(JOB)
    assert (home / "crontab-saved-by-qazprobe").read_bytes() == CP1251


def test_a_refused_crontab_is_one_line_and_changes_nothing(home: Path) -> None:
    (home / "crontab").write_bytes(CP1251)
    refusing = (
        '-) cat > "$HOME/new"; echo "/var/spool/cron: No space left on device" >&2; exit 1;;\nno)\n'
    )
    tool(home, "crontab", CRONTAB.replace("-)\n", refusing))
    with pytest.raises(ScheduleError, match="nothing was changed: /var/spool/cron: No space left"):
        Cron().install(JOB)
    assert (home / "crontab").read_bytes() == CP1251


def test_headers_of_an_old_crontab_do_not_become_more(home: Path) -> None:
    header = (
        "# DO NOT EDIT THIS FILE - edit the master and reinstall.\\n"
        "# (- installed on Mon Nov 30 07:11:52 2026)\\n# (Cron version -- 3.0)\\n"
    )
    showing = f"""-) {{ printf '{header}'; cat; }} > "$HOME/new"
  cat "$HOME/new" > "$HOME/crontab";;
no)"""
    tool(home, "crontab", CRONTAB.replace("-)\n", showing + "\n"))
    (home / "crontab").write_bytes(header.replace("\\n", "\n").encode() + CP1251)
    for _ in range(2):
        Cron().install(JOB)
        assert (home / "crontab").read_bytes().count(b"DO NOT EDIT") == 1
    Cron().remove()
    assert (home / "crontab").read_bytes() == header.replace("\\n", "\n").encode() + CP1251
