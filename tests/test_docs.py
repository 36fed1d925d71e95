"""What the pages say exists, and what exists is on a page."""

import math
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tools import commands_docs

pytest.importorskip("collector.cli", reason="the collector's command needs its extra")

ROOT = Path(__file__).parents[1]
TEMPLATES = sorted((ROOT / "docs" / "templates").glob("*.md"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *TEMPLATES,
]
WRITTEN = [page for page in PAGES if page.name != "commands.md"]
PROGRAMS = {"qazprobe", "qazcollector"}


COMMANDS = dict(commands_docs.programs())


def lines() -> Iterator[tuple[str, str]]:
    """Every command line that a page shows, in a block or between back ticks."""
    for path in WRITTEN:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        shown = [line for block in blocks for line in block.splitlines()]
        shown += re.findall(r"`([^`\n]+)`", prose)
        for line in shown:
            found = re.search(r"(?:^|[\s/=])((?:qazprobe|qazcollector) +\S.*)$", line)
            if found:
                yield path.name, found[1].split("  #")[0]


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """The longest command that these words name, and the words that are left."""
    for size in range(len(words), 0, -1):
        name = " ".join(words[:size])
        if name in COMMANDS:
            return name, words[size:]
    raise AssertionError(words)


SHOWN = sorted(set(lines()))


@pytest.mark.parametrize(("where", "line"), SHOWN, ids=lambda value: str(value)[:60])
def test_a_command_that_a_page_shows_exists(where: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    passed_on = words[words.index("--") + 1 :] if "--" in words else []
    name, rest = command_of(words[: len(words) - len(passed_on)])
    if isinstance(COMMANDS[name], click.Group):
        assert not [word for word in rest if not word.startswith("-")], f"{where}: {line}"
    assert options_in(rest) <= known_to(name), f"{where}: {line}"
    assert options_in(passed_on) <= known_to("qazprobe run"), f"{where}: {line}"


def blocks() -> Iterator[tuple[str, str]]:
    """Every command line that a page shows in a block, to be typed as it is."""
    for path in WRITTEN:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                if line.startswith(("qazprobe ", "qazcollector ")):
                    yield path.name, line


@pytest.mark.parametrize(("where", "line"), sorted(set(blocks())), ids=lambda value: value[:60])
def test_a_command_to_be_typed_has_every_argument_that_it_needs(where: str, line: str) -> None:
    name, words = command_of(shlex.split(line, comments=True))
    command = COMMANDS[name]
    given = command.make_parser(click.Context(command)).parse_args(words)[0]
    needed = [one for one in command.params if isinstance(one, click.Argument) and one.required]
    assert [one.name for one in needed if not given.get(str(one.name))] == [], f"{where}: {line}"


def options_in(words: list[str]) -> set[str]:
    return {word.split("=")[0] for word in words if word.startswith("-") and word.strip("-")}


def known_to(name: str) -> set[str]:
    options = COMMANDS[name].params
    known = {text for option in options for text in (*option.opts, *option.secondary_opts)}
    return known | {"--help"}


def test_the_page_of_commands_is_what_they_say_of_themselves() -> None:
    assert commands_docs.PAGE.read_text(encoding="utf-8") == commands_docs.page(), (
        "run make generated"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_does(name: str) -> None:
    assert COMMANDS[name].help, name
    silent = [option.opts for option in commands_docs.options(COMMANDS[name]) if not option.help]
    assert silent == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in PROGRAMS])
def test_every_command_is_told_to_somebody(name: str) -> None:
    written = " ".join(path.read_text(encoding="utf-8") for path in WRITTEN)
    assert re.search(rf"{name}\b", written), f"no page for people speaks of {name}"


def test_options_in_prose_exist() -> None:
    known = {
        text
        for command in COMMANDS.values()
        for option in command.params
        for text in (*option.opts, *option.secondary_opts)
    }
    for path in (
        page for page in WRITTEN if page.parent.name == "docs" or page.name == "README.md"
    ):
        prose = path.read_text(encoding="utf-8")
        for option in re.findall(r"`(--[a-z][a-z-]+)\b[^`]*`", prose):
            assert option in known | {"--help"}, f"{path.name}: {option}"


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "docs/design").glob("*.md"))], ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), target


def test_the_example_for_researchers_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from probe import codec
    from tests.e2e.sample_records import BLOCKED, everything

    lines = b"".join(codec.encode(record) + b"\n" for record in everything())
    (tmp_path / "records.jsonl").write_bytes(lines)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "researcher.md").read_text(encoding="utf-8")
    example, _ = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    exec(compile(example, "researcher.md", "exec"), {})
    assert f"{BLOCKED} blocked" in capsys.readouterr().out


def test_the_volunteers_page_names_the_real_limits_of_each_profile() -> None:
    from probe.ordering import LIMITS

    text = (ROOT / "docs" / "volunteer.md").read_text(encoding="utf-8")
    for name, limits in LIMITS.items():
        shown = f"{math.ceil(limits.seconds / 60)} minutes, {limits.bytes / 1e6:g} MB"
        assert re.search(rf"^\| `{name}` .* \| {shown} \|", text, re.MULTILINE), name
    a_day = {"full": 4, "quick": 4, "watch": 24}
    for name, runs in a_day.items():
        assert re.search(
            rf"^\| `{name}`, every .* \| {runs * LIMITS[name].bytes / 1e6:g} MB \|$",
            text,
            re.MULTILINE,
        ), name


def test_the_readme_begins_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("#")[0].strip() for line in text[3:5]] == ["make demo", "make test"]
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "run", "check", "bench", "clean"} <= set(
        re.findall(r"^([a-z]+):", made, re.MULTILINE)
    )


def test_the_readme_names_every_outcome() -> None:
    from probe.model import Outcome

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{outcome}` |" in text for outcome in Outcome)


def test_the_changelog_has_something_unreleased_or_this_version() -> None:
    import probe

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{probe.__version__}]" in text


# What each template for operators has to treat, as words of its headings or table rows.
TREATED = {
    "privacy-notice.md": (
        "responsible",
        "collected, and why",
        "not collected",
        "Who can see it",
        "how long",
        "rights",
        "goes wrong",
    ),
    "legal-kazakhstan.md": (
        "consent before collection",
        "localisation",
        "transfer abroad",
        "deletion",
        "breach",
        "one working day",
        "Risk to volunteers",
        "checklist",
    ),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_treats_everything_and_shows_what_to_fill_in(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    structure = [line for line in text.splitlines() if line.startswith(("#", "|", "- [ ]"))]
    missing = [words for words in TREATED[path.name] if not any(words in one for one in structure)]
    assert missing == []
    # A place to fill in is in capitals, so that nothing of it is published by mistake.
    places = re.findall(r"(?<!- )\[([^\]]+)\](?!\()", text)
    assert places
    assert [one for one in places if not re.match(r"[A-Z]{2,}|\d+$", one)] == []
    assert "*A template for operators" in text or "not legal advice" in text


def test_the_deletion_periods_of_the_notice_are_those_of_the_maintenance() -> None:
    notice = (ROOT / "docs/templates/privacy-notice.md").read_text(encoding="utf-8")
    unit = (ROOT / "packaging/systemd/qazcollector-maintenance.service").read_text(encoding="utf-8")
    days, raw = re.findall(r"retention --days (\d+) --raw-days (\d+)", unit)[0]
    assert f"is deleted after [{raw}] days, measurements after [{days}] days" in notice


@pytest.mark.parametrize("package", ["probe", "collector"])
def test_the_map_for_developers_names_every_folder_and_module(package: str) -> None:
    text = (ROOT / "docs" / "developer.md").read_text(encoding="utf-8")
    cells = re.findall(rf"^\| (`{package}/[^|]*) \|", text, re.MULTILINE)
    named = set(re.findall(r"[`/]([a-z0-9_]+(?:/|\.py))`", " ".join(cells)))
    folders = {f"{path.parent.name}/" for path in (ROOT / package).glob("*/__init__.py")}
    modules = {path.name for path in (ROOT / package).glob("[a-z]*.py")}
    assert not (folders | modules) - named
