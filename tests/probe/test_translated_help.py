"""The help of every command, and what click says, in the user's language."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from probe import i18n
from probe.command_line import COMMANDS, cli
from probe.commands import consent, results
from probe.translated_help import paragraphs, translate_help, translated
from tools.commands_docs import programs

ROOT = Path(__file__).parents[2]
ENGLISH = re.compile(r"\b(?:the|of|is|are|and|this|Show|Usage|Options)\b")


def said(*arguments: str, home: Path, **environ: str) -> str:
    """What the program writes, started with these languages in its environment."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("L", "QAZ"))}
    done = subprocess.run(
        [sys.executable, "-m", "probe.cli", *arguments],
        cwd=ROOT,
        env={**clean, "QAZPROBE_HOME": str(home), "LANG": "C.UTF-8", **environ},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("code", ["ru", "kk"])
def test_the_first_page_is_in_the_users_language(code: str, tmp_path: Path) -> None:
    page = said("--help", home=tmp_path, LANG=f"{code}_KZ.UTF-8")
    assert all(f"\n  {name}" in page for name in COMMANDS)
    assert not ENGLISH.search(page), page
    assert "qazprobe consent" in page


def test_the_configuration_and_a_variable_choose_the_language(tmp_path: Path) -> None:
    (tmp_path / "qazprobe.toml").write_text('language = "kk"\n')
    assert "Пәрмендер" in said("--help", home=tmp_path)
    assert "Команды" in said("--help", home=tmp_path, QAZPROBE_LANGUAGE="ru")
    (tmp_path / "qazprobe.toml").write_bytes(b"language = [\xff")
    assert "Commands" in said("--help", home=tmp_path)


def test_an_error_of_usage_and_one_of_ours_are_translated(tmp_path: Path) -> None:
    assert "Нет такой команды: 'rum'." in said("rum", home=tmp_path, LANG="ru_RU.UTF-8")
    broken = tmp_path / "qazprobe.toml"
    broken.write_text("colour = 1\n")
    assert "неизвестная настройка" in said("config", "check", home=tmp_path, LANG="ru_RU.UTF-8")


@pytest.mark.parametrize("code", ["ru", "kk"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_is_translated(name: str, code: str) -> None:
    i18n.use(code)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for one in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
        page = CliRunner().invoke(one, ["--help"]).stdout
        prose = "\n".join(line for line in page.splitlines() if "qazprobe " not in line)
        # What click says itself is translated by `main`, which this test does not start.
        prose = re.sub(
            r"(?m)^(?:Usage|Options|Commands):.*|Show this message and exit\.", "", prose
        )
        assert not ENGLISH.search(prose), prose


def test_an_example_keeps_its_lines() -> None:
    i18n.use("ru")
    page = CliRunner().invoke(translated(results.command), ["--help"]).stdout
    lines = [line for line in page.splitlines() if line.startswith("  qazprobe results ")]
    assert len(lines) > 3


def test_the_command_itself_is_not_changed() -> None:
    before = consent.command.help
    i18n.use("ru")
    assert translated(consent.command).help != before
    assert consent.command.help == before
    i18n.use("en")
    assert translated(consent.command) is consent.command


def test_paragraphs_are_joined_lines_or_examples() -> None:
    text = "First line\n    second line.\n\n    \b\n    as it is\n      indented\n\n    Last."
    assert paragraphs(text) == ["First line second line.", "\b\nas it is\n  indented", "Last."]
    assert translate_help(text).startswith("First line second line.")


EVERY = dict(programs())
GROUPS = [path for path, command in EVERY.items() if isinstance(command, click.Group)]


@pytest.mark.parametrize("path", GROUPS)
def test_a_group_shows_the_whole_summary_of_each_command(path: str) -> None:
    group = EVERY[path]
    context = click.Context(group, info_name=path, terminal_width=80, max_content_width=80)
    assert isinstance(group, click.Group)
    assert len(group.list_commands(context)) == len(re.findall(r"(?m)^  \w", shown(group, context)))
    assert "..." not in shown(group, context)


@pytest.mark.parametrize("path", EVERY)
def test_the_help_fits_a_terminal_of_eighty_columns(path: str) -> None:
    context = click.Context(EVERY[path], info_name=path, terminal_width=80, max_content_width=80)
    # A list of all choices cannot be broken.
    lines = [one for one in context.get_help().splitlines() if "|" not in one]
    assert [one for one in lines if len(one) > 80] == []


def shown(group: click.Group, context: click.Context) -> str:
    """The list of commands in the help of a group."""
    return group.get_help(context).partition("Commands:\n")[2].partition("\n\n")[0]
