"""Consent: in three languages that say the same, recorded with its date, asked once."""

import os
import tomllib
from importlib.resources import files
from pathlib import Path
from string import Formatter

import msgspec
import pytest
from click.testing import CliRunner

from collector.store.heartbeats import KEPT_SECONDS
from probe import consent_record
from probe.admin import consent, schedule
from probe.admin.consent import ConsentText
from probe.admin.timers import DEFAULT_PERIOD
from probe.client.spool import Spool
from probe.command_line import cli
from probe.commands.consent import command
from probe.config import Settings
from probe.errors import UserError
from probe.ordering import LIMITS
from probe.runner.daily_quota import DAILY_BYTES

ENGLISH = consent.text("en")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "en")
    return tmp_path


@pytest.mark.parametrize("code", consent.LANGUAGES)
def test_every_language_has_all_texts(code: str) -> None:
    words = consent.text(code)
    for name in ConsentText.__struct_fields__:
        said, english = getattr(words, name), getattr(ENGLISH, name)
        assert said, name
        if isinstance(said, str):
            assert fields(said) == fields(english), name


@pytest.mark.parametrize("code", consent.LANGUAGES)
@pytest.mark.parametrize("must", ["VPN", "41-1", "qazprobe erase", "qazprobe consent --withdraw"])
def test_every_language_names_the_risk(code: str, must: str) -> None:
    assert must in consent.text(code).text


@pytest.mark.parametrize("code", consent.LANGUAGES)
def test_the_text_is_short_and_fits_a_terminal(code: str) -> None:
    lines = consent.text(code).text.splitlines()
    assert len(lines) < 50
    assert max(map(len, lines)) <= 108


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "kk_KZ.UTF-8"}, "kk"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "kk_KZ"}, "kk"),
        ({"LANGUAGE": "de:ru:en", "LANG": "kk_KZ"}, "ru"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_follows_the_environment(environ: dict[str, str], expected: str) -> None:
    assert consent.language(None, environ) == expected
    assert consent.language("ru", environ) == "ru"


def test_consent_is_recorded_with_version_and_date(home: Path) -> None:
    assert CliRunner().invoke(command, ["--yes", "--lang", "kk"]).exit_code == 0
    given = consent.read(home)
    assert given is not None
    assert (given.version, given.language, given.heartbeat) == (consent.VERSION, "kk", False)
    assert given.at.endswith("Z")
    assert given.current


@pytest.mark.parametrize(("answers", "recorded"), [("y\n", True), ("maybe\nYES\n", True)])
def test_the_question_is_repeated_until_yes_or_no(
    home: Path, answers: str, *, recorded: bool
) -> None:
    said = CliRunner().invoke(command, [], input=answers)
    assert ("What is contacted" in said.output, consent.read(home) is not None) == (True, recorded)


@pytest.mark.parametrize("answers", ["n\n", ""])
def test_no_and_end_of_input_record_nothing(home: Path, answers: str) -> None:
    said = CliRunner().invoke(command, [], input=answers)
    assert isinstance(said.exception, UserError)
    assert consent.read(home) is None


def test_a_second_time_nothing_is_asked(home: Path) -> None:
    CliRunner().invoke(command, ["--yes"])
    said = CliRunner().invoke(command, [])
    assert said.exit_code == 0
    assert "You agreed on" in said.output


def test_the_heartbeat_has_a_separate_consent(home: Path) -> None:
    CliRunner().invoke(command, ["--yes"])
    said = CliRunner().invoke(command, ["--heartbeat"], input="y\n")
    assert "five minutes" in said.output
    given = consent.read(home)
    assert given is not None
    assert given.heartbeat
    CliRunner().invoke(command, ["--yes"])
    assert "Heartbeat: allowed" in CliRunner().invoke(command, ["--status"]).output


@pytest.mark.parametrize("before", ["never", "withdrawn", "older text"])
def test_a_script_that_agrees_to_the_heartbeat_is_shown_both_texts(home: Path, before: str) -> None:
    if before != "never":
        CliRunner().invoke(command, ["--yes", "--heartbeat"])
    if before == "withdrawn":
        CliRunner().invoke(command, ["--withdraw"])
    elif before == "older text":
        old = consent.Consent(
            version=consent.VERSION - 1, at="2020-01-01T00:00:00Z", language="en", heartbeat=True
        )
        (home / consent.FILE).write_bytes(msgspec.json.encode(old))
    said = CliRunner().invoke(command, ["--heartbeat", "--yes"])
    assert "What is contacted" in said.output
    assert '"I am here"' in said.output
    given = consent.read(home)
    assert given is not None
    assert (given.current, given.heartbeat) == (True, True)


def test_heartbeat_consent_expires_with_the_text(home: Path) -> None:
    old = consent.Consent(
        version=consent.VERSION - 1, at="2020-01-01T00:00:00Z", language="en", heartbeat=True
    )
    (home / consent.FILE).write_bytes(msgspec.json.encode(old))
    CliRunner().invoke(command, ["--yes"])
    given = consent.read(home)
    assert given is not None
    assert not given.heartbeat


def test_it_can_be_withdrawn(home: Path) -> None:
    CliRunner().invoke(command, ["--yes"])
    assert CliRunner().invoke(command, ["--withdraw"]).exit_code == 0
    assert consent.read(home) is None
    assert isinstance(CliRunner().invoke(command, ["--status"]).exception, UserError)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--yes", "--withdraw"],
        ["--yes", "--status"],
        ["--show", "--withdraw"],
        ["--remove-timers"],
        ["--categories", ""],
    ],
)
def test_contradicting_options_are_refused_and_change_nothing(
    home: Path, arguments: list[str]
) -> None:
    CliRunner().invoke(command, ["--yes"])
    before = consent_record.read(home)
    assert isinstance(CliRunner().invoke(command, arguments).exception, UserError)
    assert consent_record.read(home) == before is not None


def test_consent_to_an_older_text_is_not_valid(home: Path) -> None:
    consent.record(home, "en", heartbeat=False)
    old = msgspec.json.encode(
        consent.Consent(version=consent.VERSION - 1, at="2020-01-01T00:00:00Z", language="en")
    )
    (home / consent.FILE).write_bytes(old)
    said = CliRunner().invoke(cli, ["run", "https://a.example/"])
    assert isinstance(said.exception, UserError)
    assert "2020-01-01" in str(said.exception)


@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b"[1]"])
def test_an_unreadable_file_is_no_consent(home: Path, data: bytes) -> None:
    (home / consent.FILE).write_bytes(data)
    assert consent.read(home) is None


def test_it_is_the_owners_alone(home: Path) -> None:
    consent.record(home, "en", heartbeat=False)
    assert (home / consent.FILE).stat().st_mode & 0o077 == 0 or os.name == "nt"


@pytest.mark.parametrize("code", consent.LANGUAGES)
def test_the_text_names_the_limits_that_hold(code: str) -> None:
    costs = consent.costs()
    assert costs["run_megabytes"] * 1_000_000 == LIMITS[Settings().profile].bytes
    assert costs["run_minutes"] * 60 == LIMITS[Settings().profile].seconds
    assert costs["day_megabytes"] == costs["run_megabytes"] * 24 // costs["timer_hours"]
    assert costs["timer_hours"] * 3600 == DEFAULT_PERIOD
    assert costs["speed_megabytes"] * 1_000_000 == DAILY_BYTES
    raw = (files("probe") / "locale" / f"{code}.toml").read_text(encoding="utf-8")
    assert fields(tomllib.loads(raw)["text"]) == set(costs)
    for number in costs.values():
        assert f" {number} " in consent.text(code).text.replace("\n", " ")


@pytest.mark.parametrize(
    ("code", "weeks"),
    [("en", "five weeks"), ("ru", "пять недель"), ("kk", "бес апта")],  # noqa: RUF001 - Kazakh
)
def test_the_heartbeat_text_names_the_network_and_how_long_it_is_kept(
    code: str, weeks: str
) -> None:
    text = " ".join(consent.text(code).heartbeat_text.split())
    assert KEPT_SECONDS == 5 * 7 * 86_400
    assert weeks in text
    assert "AS" in text


@pytest.mark.parametrize(("code", "platform"), [("en", "platform"), ("ru", "платформа")])
def test_the_text_names_platform_and_version(code: str, platform: str) -> None:
    assert platform in consent.text(code).text
    assert "linux" in consent.text("kk").text


@pytest.mark.parametrize("before", ["nothing", "consent", "older text"])
def test_the_text_can_be_read_at_any_time(home: Path, before: str) -> None:
    if before == "consent":
        consent.record(home, "en", heartbeat=True)
    elif before == "older text":
        old = consent.Consent(version=1, at="2020-01-01T00:00:00Z", language="en")
        (home / consent.FILE).write_bytes(msgspec.json.encode(old))
    recorded = consent.read(home)
    said = CliRunner().invoke(command, ["--show"])
    assert said.exit_code == 0
    assert "What is contacted" in said.output
    assert '"I am here"' in said.output
    assert consent.read(home) == recorded
    expected = {"nothing": "No consent", "consent": "You agreed on", "older text": "has changed"}
    assert expected[before] in said.output


def test_an_older_consent_of_the_first_text_does_not_count(home: Path) -> None:
    (home / consent.FILE).write_text(
        '{"version":1,"at":"2026-01-01T00:00:00Z","language":"en","heartbeat":true}\n'
    )
    given = consent.read(home)
    assert given is not None
    assert not given.current


def test_allowing_the_heartbeat_does_not_end_what_runs(home: Path) -> None:
    CliRunner().invoke(command, ["--yes"])
    before = consent.read(home)
    CliRunner().invoke(command, ["--heartbeat", "--yes"])
    after = consent.read(home)
    assert before is not None
    assert after is not None
    assert (after.id, after.at, after.heartbeat) == (before.id, before.at, True)


def test_reading_and_withdrawing_make_no_folder(home: Path) -> None:
    home.rmdir()
    for option in ("--status", "--show", "--withdraw"):
        CliRunner().invoke(command, [option])
        assert not home.exists()


class Timer:
    """A timer of this system."""

    name = "cron"

    def __init__(self) -> None:
        self.removed = False

    def render(self, *_: object) -> str:
        return ""

    def install(self, *_: object) -> None:
        return

    def status(self) -> str | None:
        return "every 6h"

    def has_heartbeat(self) -> bool:
        return False

    def remove(self) -> bool:
        self.removed = True
        return True


@pytest.mark.parametrize(
    ("options", "terminal", "reply", "removed"),
    [
        ([], False, "", False),
        (["--remove-timers"], False, "", True),
        ([], True, "y\n", True),
        ([], True, "n\n", False),
    ],
)
def test_withdrawing_offers_to_remove_timers(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    reply: str,
    *,
    terminal: bool,
    removed: bool,
) -> None:
    timer = Timer()
    found = schedule.Survey(((timer, "every 6h"),), ())
    monkeypatch.setattr(schedule, "survey", lambda: found)
    monkeypatch.setattr("probe.admin.withdrawal.on_terminal", lambda: terminal)
    consent.record(home, "en", heartbeat=False)
    said = CliRunner().invoke(command, ["--withdraw", *options], input=reply)
    assert said.exit_code == 0
    assert (timer.removed, consent.read(home)) == (removed, None)
    assert ("qazprobe schedule remove" in said.output) is not removed


def test_withdrawing_tells_what_waits_to_be_sent(home: Path) -> None:
    consent.record(home, "en", heartbeat=False)
    with Spool(home).writer(("https://c.example",)) as writer:
        writer.add(b'{"id":"r1"}')
    said = CliRunner().invoke(command, ["--withdraw"])
    assert "waiting to be sent: 1." in said.output
