"""Before consent, no command contacts anything, whichever option has a URL."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from probe import consent_record
from probe.command_line import cli
from probe.errors import Exit, UserError

# Every command with an argument or option that takes a URL; {url} is that of the listener.
COMMANDS = {
    "run urls": "run {url} --lab",
    "run targets": "run --targets {url} --lab",
    "run collector": "run https://a.example/ --collector {url} --lab",
    "run control": "run https://a.example/ --control {url} --lab",
    "doctor collector": "doctor --collector {url} --lab",
    "upload collector": "upload --collector {url} --lab",
    "targets check file": "targets check {url}",
    "targets list name": "targets list {url}",
    "targets update name": "targets update {url} --lab",
    "targets update collector": "targets update kz --collector {url} --lab",
    "trace target": "trace {named} --lab --accept-risk",
    "speed server": "speed --server {ndt7} --lab",
    "schedule install arguments": (
        "schedule install --print --with cron -- --targets {url} --collector {url} --lab"
    ),
    "results show what": "results show {url}",
    "results publish url": "results publish --to {url} --accept-risk",
    "targets convert lists": "targets convert {url}",
}
# Settings that name a URL, by the command that would use them.
SETTINGS = {
    "collector": "targets update kz",
    "control": "run https://a.example/",
    "targets": "run",
    "list_mirror": "targets update citizenlab:kz",
    "anchors": "run https://a.example/",
}
# Of these, the ones that need no consent, because they contact nothing.
FREE = {
    "schedule install arguments",
    "results show what",
    "targets list name",
    "targets convert lists",
    "doctor collector",
}


class Listener:
    """A server on loopback that counts connections, and answers none."""

    def __init__(self) -> None:
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.count += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    for name, text in (("ANCHORS", "none"), ("RESOLVERS", "none"), ("RESOLVER", "127.0.0.1:9")):
        monkeypatch.setenv(f"QAZPROBE_{name}", text)
    return tmp_path / "home"


def options(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from options(inner, f"{path} {name}".strip())
        return
    for option in command.params:
        if "URL" in (option.metavar or "") or option.name == "arguments":
            yield f"{path} {option.name}"


def test_every_option_with_a_url_is_tested_here() -> None:
    assert set(options(cli, "")) | {"trace target"} == set(COMMANDS)


def _named(listener: Listener) -> str:
    """The listener's URL with a name, which a trace needs."""
    return listener.url.replace("127.0.0.1", "localhost")


def _words(name: str, listener: Listener) -> list[str]:
    """A command's words, with the listener as the URL in its form."""
    ndt7 = listener.url.replace("http", "ndt7")
    return COMMANDS[name].format(url=listener.url, named=_named(listener), ndt7=ndt7).split()


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_contacted_before_consent(name: str, home: Path, listener: Listener) -> None:
    said = CliRunner().invoke(cli, _words(name, listener))
    assert listener.count == 0
    assert isinstance(said.exception, UserError) or name in FREE, said.output
    if name not in FREE:
        assert isinstance(said.exception, UserError)
        assert said.exception.code == Exit.USAGE
        assert "qazprobe consent" in str(said.exception)
    assert not home.exists()


@pytest.mark.parametrize("setting", SETTINGS)
def test_nor_by_a_setting(
    setting: str, home: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"QAZPROBE_{setting.upper()}", listener.url)
    monkeypatch.setenv("QAZPROBE_LAB", "true")
    said = CliRunner().invoke(cli, SETTINGS[setting].split())
    assert isinstance(said.exception, UserError)
    assert "qazprobe consent" in str(said.exception)
    assert (listener.count, home.exists()) == (0, False)


@pytest.mark.parametrize(
    "name", ["run targets", "doctor collector", "targets update collector", "speed server"]
)
def test_the_listener_would_notice(name: str, home: Path, listener: Listener) -> None:
    consent_record.record(home, "en", heartbeat=False)
    CliRunner().invoke(cli, _words(name, listener))
    assert listener.count > 0


@pytest.mark.parametrize(
    "words",
    [
        "trace http://localhost:9/ --lab",
        "run -e trace http://127.0.0.1:9/ --lab",
        "run -e web,tor http://127.0.0.1:9/ --lab",
        "run --targets vpn --lab",
    ],
)
def test_a_script_accepts_risks_by_an_option_of_its_own(
    words: str, home: Path, listener: Listener
) -> None:
    consent_record.record(home, "en", heartbeat=False)
    words = words.replace("http://127.0.0.1:9/", listener.url)
    words = words.replace("http://localhost:9/", _named(listener))
    said = CliRunner().invoke(cli, words.split())
    assert isinstance(said.exception, UserError)
    assert said.exception.code == Exit.USAGE
    assert "--accept-risk" in str(said.exception)
    assert "\n" not in str(said.exception)
    assert listener.count == 0


@pytest.mark.parametrize("how", ["option", "setting", "answered before"])
def test_accepted_risks_are_not_asked_about(
    how: str, home: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = consent_record.record(home, "en", heartbeat=False)
    words = ["run", listener.url, "-e", "trace", "--lab", "--max-time", "2"]
    if how == "option":
        words.append("--accept-risk")
    elif how == "setting":
        monkeypatch.setenv("QAZPROBE_ACCEPT_RISK", "trace")
    else:
        consent_record.accept_risks(home, given, ("trace",))
    said = CliRunner().invoke(cli, words)
    assert not isinstance(said.exception, UserError), said.exception
    assert list((home / "results").iterdir())


@pytest.mark.parametrize(("reply", "accepted"), [("y\n", True), ("n\n", False)])
def test_on_a_terminal_a_risk_is_asked_about_once(
    reply: str, home: Path, monkeypatch: pytest.MonkeyPatch, *, accepted: bool
) -> None:
    consent_record.record(home, "en", heartbeat=False)
    monkeypatch.setenv("LANGUAGE", "en")
    monkeypatch.setattr("probe.admin.question.on_terminal", lambda: True)
    words = ["run", "--targets", "vpn", "-e", "tor", "--lab", "--max-time", "1"]
    said = CliRunner().invoke(cli, words, input=reply)
    assert "-e tor, --targets vpn: contacts means of circumvention" in said.output
    given = consent_record.read(home)
    assert given is not None
    assert set(given.risks) == ({"tor", "vpn"} if accepted else set())
    assert isinstance(said.exception, UserError) is not accepted
    if accepted:
        again = CliRunner().invoke(cli, words)
        assert "circumvention" not in again.output


def test_a_timer_whose_risk_is_not_accepted_is_not_installed(home: Path) -> None:
    consent_record.record(home, "en", heartbeat=False)
    words = "schedule install --with cron -- -e trace https://a.example/"
    said = CliRunner().invoke(cli, words.split())
    assert "--accept-risk" in str(said.exception)
    assert "dozens of times in a minute" in str(said.exception)
    assert "docs/" not in str(said.exception)
    said = CliRunner().invoke(cli, [*words.split(), "--accept-risk"])
    assert "crontab" in str(said.exception)  # there is none on this machine


def test_a_risk_is_accepted_only_while_the_consent_stands(home: Path) -> None:
    given = consent_record.record(home, "en", heartbeat=False)
    consent_record.withdraw(home)
    consent_record.accept_risks(home, given, ("tor",))
    assert consent_record.read(home) is None
