"""Write `docs/commands.md` and the manual pages from the commands' own help.

Run as `python -m tools.commands_docs`; with `--check` it only says whether the page is out of date.
"""

import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
WIDTH = 120
PROGRAMS = (("qazprobe", "probe.command_line"), ("qazcollector", "collector.cli"))
OPENING = """# Every command and option

Made from the commands' own `--help` by `python -m tools.commands_docs`; a test keeps it so.
"""


def root(module: str) -> click.Command:
    """The click command behind a program's entry point: the group that is in no other one."""
    found = importlib.import_module(module)
    groups = [value for value in vars(found).values() if isinstance(value, click.Group)]
    below = {id(command) for group in groups for command in group.commands.values()}
    return next(group for group in groups if id(group) not in below)


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and everything below it, in the order of its help."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), name)
            if child is not None and not child.hidden:
                yield from walk(child, f"{path} {name}")


def programs() -> Iterator[tuple[str, click.Command]]:
    """Every command of both programs, by what is typed."""
    for name, module in PROGRAMS:
        yield from walk(root(module), name)


def options(command: click.Command) -> Iterator[click.Option]:
    """The options a reader may give."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            yield parameter


def cell(text: str) -> str:
    """Text that cannot break a table."""
    return " ".join(text.split()).replace("|", "\\|")


def sentences(text: str) -> list[str]:
    """The paragraphs of a help text."""
    return inspect.cleandoc(text).split("\n\n")


def paragraph(text: str) -> str:
    """One paragraph; click marks with a backspace what must keep its lines."""
    kept = text.removeprefix("\b\n")
    return wrapped(" ".join(text.split())) if kept == text else f"```\n{kept}\n```"


def wrapped(text: str) -> str:
    """Prose in lines as those of the pages that are written by hand."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def section(path: str, command: click.Command) -> Iterator[str]:
    """One command as Markdown."""
    context = click.Context(command, info_name=path)
    depth = "##" if " " not in path else "###"
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"\n{depth} {path}\n\n```\n{usage}\n```\n"
    if command.help:
        yield "".join(f"\n{part}\n" for part in map(paragraph, sentences(command.help)))
    rows = [option.get_help_record(context) for option in options(command)]
    if any(rows):
        yield "\n| option | does |\n|---|---|\n"
        yield from (f"| `{cell(row[0])}` | {cell(row[1])} |\n" for row in rows if row)


def page() -> str:
    """The whole page."""
    return OPENING + "".join(
        part for path, command in programs() for part in section(path, command)
    )


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    made = page()
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == made else 1
    PAGE.write_text(made, encoding="utf-8")
    from tools import man_pages  # it reads the commands by this module

    man_pages.write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
