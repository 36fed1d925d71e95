"""`qazcollector serve --config FILE`: every option, one-line errors, and the command line wins."""

import re
import signal
import tomllib
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from collector import cli
from collector.settings import CollectorSettings
from tests.collector.test_serve import ROOT, started

EXAMPLE = ROOT / "packaging" / "qazcollector.toml"
OPTIONS = {
    max(one.opts, key=len).removeprefix("--"): one
    for one in cli.serve.params
    if isinstance(one, click.Option)
}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[CollectorSettings]:
    """The settings with which the collector would have served."""
    monkeypatch.delenv("QAZCOLLECTOR_STORE", raising=False)
    found: list[CollectorSettings] = []
    monkeypatch.setattr("collector.serve.run", found.append)
    return found


def serve(*arguments: str) -> None:
    cli.main(["serve", *arguments])


def start(made: list[CollectorSettings], *arguments: str) -> CollectorSettings:
    with pytest.raises(SystemExit) as caught:
        serve(*arguments)
    assert caught.value.code == 0
    return made[-1]


def text(values: Mapping[str, object]) -> str:
    """Values as TOML."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).replace("'", '"')


FILE: dict[str, Any] = {
    "listen": "127.0.0.1:1",
    "metrics": "127.0.0.1:2",
    "admin-listen": "127.0.0.1:3",
    "bulk": "127.0.0.1:4",
    "bulk-rate": 2.5,
    "bulk-daily": 7,
    "bulk-also": ["203.0.113.7:4443#" + "0" * 64],
    "store": "sqlite:///from-file",
    "enrolment": "closed",
    "lab": True,
    "tls-cert": "cert.pem",
    "tls-key": "key.pem",
    "targets": ["one.csv", "two.csv"],
    "max-series": 5,
    "asn-table": "table",
    "quorum": 9,
    "proxy": ["192.0.2.0/24"],
    "workers": 3,
    "public-min-probes": 4,
    "operator-token-file": "token",
    "ooni": True,
    "ooni-helper": True,
    "ooni-url": "https://one.example/",
    "ooni-also": ["https://two.example/"],
    "ooni-originals": True,
    "ooni-daily": 8,
}
LINE: dict[str, tuple[str, ...]] = {
    "listen": ("--listen", "127.0.0.1:11"),
    "metrics": ("--metrics", "127.0.0.1:12"),
    "admin-listen": ("--admin-listen", "127.0.0.1:13"),
    "bulk": ("--bulk", "127.0.0.1:14"),
    "bulk-rate": ("--bulk-rate", "5"),
    "bulk-daily": ("--bulk-daily", "14"),
    "bulk-also": ("--bulk-also", "203.0.113.8:4443#" + "1" * 64),
    "store": ("--store", "sqlite:///from-line"),
    "enrolment": ("--enrolment", "open"),
    "tls-cert": ("--tls-cert", "other.pem"),
    "tls-key": ("--tls-key", "other-key.pem"),
    "targets": ("--targets", "three.csv"),
    "max-series": ("--max-series", "6"),
    "asn-table": ("--asn-table", "other-table"),
    "quorum": ("--quorum", "8"),
    "proxy": ("--proxy", "198.51.100.0/24"),
    "workers": ("--workers", "2"),
    "public-min-probes": ("--public-min-probes", "5"),
    "operator-token-file": ("--operator-token-file", "other-token"),
    "ooni-url": ("--ooni-url", "https://three.example/"),
    "ooni-also": ("--ooni-also", "https://four.example/"),
    "ooni-daily": ("--ooni-daily", "9"),
}


def test_every_option_can_be_in_the_file_and_on_the_line(
    tmp_path: Path, made: list[CollectorSettings]
) -> None:
    assert set(FILE) == set(OPTIONS) - {"config", "help"}
    file = tmp_path / "qazcollector.toml"
    file.write_text(text(FILE))
    by_file = start(made, "--config", str(file))
    by_line = start(made, *(part for key, value in FILE.items() for part in _arguments(key, value)))
    assert by_file == by_line
    for key, arguments in LINE.items():
        both = start(made, *arguments, "--config", str(file))
        assert both != by_file, key
    # With underscores too.
    file.write_text(text({key.replace("-", "_"): value for key, value in FILE.items()}))
    assert start(made, "--config", str(file)) == by_file


def _arguments(key: str, value: object) -> list[str]:
    if value is True:
        return [f"--{key}"]
    values = value if isinstance(value, list) else [value]
    return [part for one in values for part in (f"--{key}", str(one))]


def test_the_environment_wins_over_the_file(
    tmp_path: Path, made: list[CollectorSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "qazcollector.toml"
    file.write_text(text(FILE))
    monkeypatch.setenv("QAZCOLLECTOR_STORE", "sqlite:///from-environment")
    assert start(made, "--config", str(file)).store == "sqlite:///from-environment"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('lisen = "127.0.0.1:1"', "lisen: unknown key; did you mean listen?"),
        ('config = "x"', "config: unknown key"),
        ("[serve]", "serve: unknown key"),
        ('listen = "8080"', "listen: “8080”: HOST:PORT expected"),
        ("listen = 8080", "listen: a string in quotes expected"),
        ('enrolment = "maybe"', "enrolment: 'maybe' is not one of 'open', 'token', 'closed'"),
        ('quorum = "3"', "quorum: a whole number expected"),
        ("quorum = 0", "quorum: 0 is not in the range"),
        ("quorum = true", "quorum: a whole number expected"),
        ('bulk-rate = "fast"', "bulk-rate: a number expected"),
        ('lab = "yes"', "lab: true or false expected"),
        ("targets = [1]", "targets: a list of strings expected"),
        ('proxy = ["anywhere"]', "proxy: "),
        ("listen = ", "Invalid value"),
        ("\x00", "toml: "),
        ("a = 1\na = 2", "toml: "),
    ],
)
def test_an_unusable_file_is_a_one_line_error(
    tmp_path: Path, content: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "qazcollector.toml"
    file.write_text(content)
    with pytest.raises(SystemExit) as caught:
        serve("--config", str(file))
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1, line
    assert line.startswith(f"qazcollector: {file}: ")
    assert expected in line


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "qazcollector.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SystemExit):
        serve("--config", str(file))
    assert str(file) in capsys.readouterr().err


def test_the_example_is_usable_and_names_every_option(made: list[CollectorSettings]) -> None:
    assert start(made, "--config", str(EXAMPLE)).quorum == 3
    content = EXAMPLE.read_text()
    named = set(re.findall(r"^(?:# )?([a-z-]+) = ", content, re.MULTILINE))
    assert named == set(OPTIONS) - {"config", "help"}
    # What is commented out is usable as well.
    uncommented = re.sub(r"^# (?=[a-z-]+ = )", "", content, flags=re.MULTILINE)
    values = {line.partition(" = ")[0]: line for line in uncommented.splitlines() if " = " in line}
    assert tomllib.loads("\n".join(values.values()))


def test_it_serves_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "qazcollector.toml"
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    file.write_text(text({"store": store, "enrolment": "open", "lab": True, "listen": "bad"}))
    with started("--config", str(file)) as (process, url):
        with urllib.request.urlopen(f"{url}/v1/service", timeout=10) as answer:
            assert b'"enrolment":"open"' in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
