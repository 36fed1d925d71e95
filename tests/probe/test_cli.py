"""The command as a whole: its subcommands, its errors, and what it imports."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from probe import cli, command_line, crash_log, errors, paths, uuid7
from probe.errors import Exit, UserError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))


def exit_code(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    return int(left.value.code or 0)


def test_every_module_with_a_command_is_listed() -> None:
    modules = {path.stem for path in Path(cli.__file__).parent.glob("commands/*.py")}
    subcommands = {stem for stem in modules if stem.partition("_")[0] in command_line.COMMANDS}
    assert set(command_line.COMMANDS) >= modules - {"__init__"} - subcommands


def test_a_command_without_a_module_does_not_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "COMMANDS", {"run": "x", "nowhere": "y"})
    context = click.Context(command_line.cli)
    assert command_line.cli.list_commands(context) == ["run"]
    assert command_line.cli.get_command(context, "nowhere") is None


def test_every_command_has_a_help_text() -> None:
    context = click.Context(command_line.cli)
    for name in command_line.cli.list_commands(context):
        command = command_line.cli.get_command(context, name)
        assert command is not None
        assert command.help, name


def test_an_unknown_command_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("rnu") == Exit.USAGE
    assert "No such command 'rnu'" in capsys.readouterr().err


def test_help_and_version_are_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    assert "consent" in capsys.readouterr().out
    assert exit_code("--version") == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("no such thing"), Exit.USAGE, "qazprobe: no such thing"),
        (UserError("later", Exit.NOT_SENT), Exit.NOT_SENT, "later"),
        (OSError(28, "No space left on device"), Exit.BUG, "No space left on device"),
        (BrokenPipeError(), Exit.DONE, ""),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("secret 192.0.2.1"), Exit.BUG, "internal error (ZeroDivisionError)"),
    ],
)
def test_an_exception_becomes_one_line(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(command_line.cli, "main", broken)
    monkeypatch.setattr(command_line, "silence_stdout", lambda: None)
    assert exit_code() == code
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) <= 1


def bug(address: str) -> None:
    words = f"a se{'cret'} {address}"
    raise ZeroDivisionError(words)


def test_the_crash_log_has_lines_and_no_messages(tmp_path: Path) -> None:
    try:
        bug("192.0.2.1")
    except ZeroDivisionError as error:
        where = crash_log.save_traceback(error, "https://a.example/")
    text = (tmp_path / crash_log.FILE).read_text()
    assert str(tmp_path / crash_log.FILE) in where
    assert "ZeroDivisionError" in text
    assert "test_cli.py" in text
    assert "secret" not in text


def test_the_crash_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_log, "_LIMIT", 1000)
    for _ in range(50):
        crash_log.save_traceback(ZeroDivisionError())
    assert sum(file.stat().st_size for file in tmp_path.glob("bugs*")) < 4000


def test_letters_that_the_terminal_lacks_are_escaped(tmp_path: Path) -> None:
    environment = {"QAZPROBE_HOME": str(tmp_path), "PYTHONIOENCODING": "cp1252"}
    said = subprocess.run(
        [sys.executable, "-m", "probe.cli", "consent", "--lang", "kk"],
        env=environment,
        input=b"n\n",
        capture_output=True,
        check=False,
        cwd=Path(cli.__file__).parents[1],
    )
    assert said.returncode == Exit.USAGE
    assert b"internal error" not in said.stderr
    assert b"\\u04" in said.stdout


def test_exit_codes_have_a_precedence() -> None:
    assert errors.first() is Exit.DONE
    assert errors.first(Exit.NOT_SENT, Exit.MATCHED) is Exit.MATCHED
    assert errors.first(Exit.MATCHED, Exit.OFFLINE) is Exit.OFFLINE
    assert errors.first(Exit.OFFLINE, Exit.BUG) is Exit.BUG
    assert errors.first(Exit.BUG, Exit.LOCKED, Exit.USAGE) is Exit.USAGE
    assert sorted(errors.ORDER) == sorted(Exit)


def test_without_a_home_the_platform_folders_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("QAZPROBE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    home = paths.find()
    assert home.state.name == home.config.name == "qazprobe"
    assert home.ready().stat().st_mode & 0o077 == 0


def test_identifiers_sort_by_time_and_are_version_7() -> None:
    early, late = uuid7.new(1_700_000_000.0), uuid7.new(1_700_000_000.001)
    assert early < late
    assert early[14] == "7"
    assert early[19] in "89ab"
    assert uuid7.new() != uuid7.new()


@pytest.mark.parametrize("words", ["--version", "--help", "run --help", "consent --status"])
def test_commands_that_measure_nothing_import_nothing_heavy(words: str) -> None:
    code = (
        "import sys\n"
        "from probe import cli\n"
        "try:\n"
        "    cli.main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'httpx', 'cryptography', 'dns', 'rich', 'aiohttp', 'asyncio', 'scapy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, *words.split()],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert said.stderr.splitlines()[-1] == "[]"


def test_closed_streams_are_no_error(tmp_path: Path) -> None:
    words = f"exec {sys.executable} -m probe.cli results list <&- >&- 2>&-"
    environment = {"QAZPROBE_HOME": str(tmp_path), "PATH": "/bin:/usr/bin"}
    root = Path(cli.__file__).parents[1]
    said = subprocess.run(["sh", "-c", words], env=environment, check=False, cwd=root)
    assert said.returncode == Exit.DONE
    assert not (tmp_path / "bugs.log").exists()


@pytest.mark.parametrize("words", ["--help", "run --help", "targets list kz"])
def test_a_reader_that_closes_the_pipe_is_no_error(words: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        [sys.executable, "-m", "probe.cli", *words.split()],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={"QAZPROBE_HOME": str(tmp_path), "PATH": "/bin:/usr/bin"},
        cwd=Path(cli.__file__).parents[1],
        check=False,
    )
    os.close(writing)
    assert (said.returncode, said.stderr) == (Exit.DONE, b"")


def test_the_version_is_said_without_importing_a_library() -> None:
    code = (
        "import sys\n"
        "import os\n"
        "before = set(sys.modules)\n"
        "from probe import cli\n"
        "try:\n"
        "    cli.main(['--version'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(sorted(set(sys.modules) - before), file=sys.stderr)\n"
    )
    said = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert said.stderr.splitlines()[-1] == "['probe', 'probe.cli']"


def test_the_version_on_a_full_disk_is_an_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    words = f"exec {sys.executable} -m probe.cli --version > /dev/full"
    root = Path(cli.__file__).parents[1]
    said = subprocess.run(["sh", "-c", words], check=False, cwd=root, capture_output=True)
    assert said.returncode == Exit.BUG
    assert b"No space left on device" in said.stderr
