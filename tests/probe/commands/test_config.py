"""`qazprobe config`: show, path, init, check."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from probe.commands.config import command
from probe.errors import UserError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(command, words)


def test_a_file_is_created_once_and_is_valid(home: Path) -> None:
    assert call("init").output.strip() == str(home / "qazprobe.toml")
    assert call("check").output.endswith("valid\n")
    assert isinstance(call("init").exception, UserError)
    assert call("init", "--force").exit_code == 0


def test_settings_are_shown_without_the_invite(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "qazprobe.toml").write_text('region = "KZ-75"\ninvite = "s3cret"\n')
    monkeypatch.setenv("QAZPROBE_ASN", "9198")
    assert call("show").output.splitlines() == [
        "invite = (not shown)",
        "asn = 9198",
        'region = "KZ-75"',
    ]


def test_a_mistake_is_an_error(home: Path) -> None:
    other = home / "other.toml"
    other.write_text("regoin = 1\n")
    raised = call("check", str(other)).exception
    assert isinstance(raised, UserError)
    assert "did you mean region?" in str(raised)
    assert isinstance(call("check", "absent.toml").exception, UserError)
    assert "the defaults apply" in call("check").output


def test_both_folders_are_named(home: Path) -> None:
    assert str(home) in call("path").output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[options.trottle]\ndaily_bytes = 0\n", "there is no experiment 'trottle'"),
        ("[options.throttle]\ndaily_byte = 0\n", "daily_byte: unknown key; expected one of"),
        ("[options.web]\nx = 1\n", "x: unknown key; it takes none"),
        ("[options.throttle]\ndaily_bytes = 'x'\n", "daily_bytes: expected a whole number, 0 or"),
        ("[options.throttle]\ndaily_bytes = true\n", "daily_bytes: expected a whole number"),
        ("[options.throttle]\ndaily_bytes = -1\n", "daily_bytes: expected a whole number"),
        ("[options.throttle]\ntier = 'x'\n", "tier: expected one of: metered, normal, deep"),
        ("[options.speed]\nunmetered = 1\n", "unmetered: expected true or false"),
        ("[options.speed]\nbulk = ['a:\u00b2#00']\n", "bulk: expected ADDRESS:PORT#SHA256"),
        ("[options.connectivity]\nagain_seconds = nan\n", "expected a number of seconds, 0 to"),
        ("[options.connectivity]\nown_server = 'x.example'\n", "expected an IP address"),
        ("[options.trace]\nmax_hops = 0\n", "max_hops: expected a whole number, 1 to 64"),
        ("[options.tor]\nbridges = 'obfs4'\n", "bridges: expected a list"),
        ("[options.tor]\nbridges = ['secret']\n", "bridges: line 1 has no address"),
    ],
)
def test_an_invalid_experiment_option_is_named(home: Path, text: str, said: str) -> None:
    (home / "qazprobe.toml").write_text(text)
    refused = call("check").exception
    assert isinstance(refused, UserError)
    assert str(refused).startswith(f"{home / 'qazprobe.toml'}: options.")
    assert said in str(refused)
    assert "secret" not in str(refused)


def test_valid_experiment_options_are_accepted(home: Path) -> None:
    bulk = f"192.0.2.1:443#{'a' * 64}"
    (home / "qazprobe.toml").write_text(
        f"[options.throttle]\ndaily_bytes = 0\ntier = 'deep'\nown_address = true\nbulk = '{bulk}'\n"
        f"[options.speed]\nunmetered = true\nbulk = ['{bulk}']\n"
        "[options.connectivity]\nagain_seconds = 0.5\nown_server = '2001:db8::1'\n"
        "[options.trace]\nmax_hops = 30\ntries = 3\nresidual = 60\nharmless = 'x.example'\n"
    )
    assert ": valid" in call("check").output


def test_a_setting_with_which_nothing_can_be_concluded_is_told(home: Path) -> None:
    file = home / "qazprobe.toml"
    file.write_text("[options.connectivity]\nagain_seconds = 100\n")
    checked = call("check")
    assert "with again_seconds = 100 it cannot be" in checked.output
    assert checked.output.endswith(": valid\n")
