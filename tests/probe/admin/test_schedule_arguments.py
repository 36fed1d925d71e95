"""What an installed job is given: whole paths, and nothing that costs the volunteer."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from probe.admin.absolute_paths import absolute_arguments
from probe.commands import run
from probe.commands.schedule import command
from probe.errors import UserError
from tests.probe.admin.fake_tools import CRONTAB, tool, user

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes are shell scripts")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = user(tmp_path, monkeypatch)
    tool(made, "crontab", CRONTAB)
    monkeypatch.chdir(tmp_path)
    return made


def installed(home: Path, *arguments: str) -> str:
    """The command line of the installed run."""
    runner = CliRunner()
    words = ("install", "--with", "cron", "--no-heartbeat", *arguments)
    runner.invoke(command, words, catch_exceptions=False, standalone_mode=False)
    line = (home / "crontab").read_text().splitlines()[1]
    return line.partition(" run --quiet ")[2]


def test_relative_paths_are_made_absolute(home: Path) -> None:
    for name in ("my list.csv", "kz", "qazprobe.toml"):
        (home / name).write_text("https://one.example/\n" if "toml" not in name else "")
    assert list(
        absolute_arguments(
            (
                *("--targets", "my list.csv,kz", "--targets=https://c.example/list.csv"),
                *("-oout.jsonl", "--config", "qazprobe.toml", "--ca-file=/abs.pem", "-e", "web"),
                *("--append", "--max-time=9", "https://one.example/", "--", "-o", "x"),
            ),
            run.command.params,
        )
    ) == [
        # A bundled list is never a file of the same name.
        *("--targets", f"{home}/my list.csv,kz", "--targets=https://c.example/list.csv"),
        *(f"-o{home}/out.jsonl", "--config", f"{home}/qazprobe.toml", "--ca-file=/abs.pem"),
        *("-e", "web", "--append", "--max-time=9", "https://one.example/", "--", "-o", "x"),
    ]
    assert list(absolute_arguments(("-o", "-"), run.command.params)) == ["-o", "-"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--notify", "-o", "x"), ("--notify", "-o", "{home}/x")),
        (("--notify", "desktop", "-o", "x"), ("--notify", "desktop", "-o", "{home}/x")),
        (("--notify=./tell me", "--notify"), ("--notify={home}/tell me", "--notify")),
        (("--notify", "mail -s news me"), ("--notify", "mail -s news me")),
        (("--textfile=a.prom",), ("--textfile={home}/a.prom",)),
        (("--invite", "-o", "-o", "x"), ("--invite", "-o", "-o", "{home}/x")),
    ],
)
def test_commands_and_options_that_stand_alone(
    home: Path, words: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    (home / "tell").touch()
    found = list(absolute_arguments(words, run.command.params))
    assert found == [word.format(home=home) for word in expected]


def test_every_option_that_takes_a_file_is_known_by_its_placeholder() -> None:
    options = {
        name: getattr(one, "metavar", None) for one in run.command.params for name in one.opts
    }
    for name, metavar in options.items():
        if name in ("-o", "--targets", "--config", "--textfile") or name.endswith("-file"):
            assert any(word in str(metavar) for word in ("FILE", "PEM", "PATH")), name


def test_an_installed_job_has_whole_paths(home: Path) -> None:
    (home / "mine.txt").write_text("https://one.example/\n")
    words = installed(home, "--", "--targets", "mine.txt", "-o", "out.jsonl", "--append")
    assert f"--targets {home}/mine.txt -o {home}/out.jsonl --append" in words


def test_a_relative_home_is_made_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", "state")
    installed(home)
    assert f"QAZPROBE_HOME={home}/state " in (home / "crontab").read_text()


def test_the_folders_of_the_shell_are_passed_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QAZPROBE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    installed(home)
    assert f" XDG_DATA_HOME={home}/data " in (home / "crontab").read_text()


@pytest.mark.parametrize(
    "setting",
    ['targets = ["mine.txt"]', 'lab = true\nca_file = "ca.pem"', 'textfile = "qazprobe.prom"'],
)
def test_a_relative_path_in_the_configuration_is_an_error(home: Path, setting: str) -> None:
    (home / "mine.txt").write_text("https://one.example/\n")
    (home / "ca.pem").write_text("")
    (home / "state").mkdir()
    (home / "state" / "qazprobe.toml").write_text(setting + "\n")
    with pytest.raises(UserError, match="a timer starts in another folder; write /"):
        installed(home)
    assert not (home / "crontab").exists()


SPARING = "--unmetered-only --min-battery 30"


@pytest.mark.parametrize(
    ("arguments", "settings", "expected"),
    [
        ((), "", SPARING),
        (("--metered-too",), "", "--min-battery 30"),
        (("--on-battery",), "", "--unmetered-only"),
        (("--metered-too", "--on-battery"), "", ""),
        ((), "unmetered_only = false\nmin_battery = 10", ""),
        (("--", "--metered-too"), "", f"{SPARING} --metered-too"),
    ],
)
def test_a_job_is_sparing_unless_told_otherwise(
    home: Path, arguments: tuple[str, ...], settings: str, expected: str
) -> None:
    (home / "state").mkdir()
    (home / "state" / "qazprobe.toml").write_text(settings + "\n")
    assert installed(home, *arguments) == expected
