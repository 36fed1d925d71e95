"""Relative paths in the arguments of a scheduled run: a timer starts in another folder."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from probe import targets

# Placeholders of options whose value is a file.
_FILE = re.compile(r"FILE|PEM|PATH")
_COMMAND = "COMMAND"


def absolute_arguments(words: Sequence[str], options: Sequence[click.Parameter]) -> Iterator[str]:
    """Return the arguments with absolute paths; the words are valid for these options."""
    by_name = {name: one for one in options if isinstance(one, click.Option) for name in one.opts}
    left = list(reversed(words))
    while left:
        word = left.pop()
        if word == "--":
            yield from (word, *reversed(left))
            return
        name, equals, value = _split(word)
        option = by_name.get(name)
        if option is None or option.is_flag:
            yield word
        elif equals or value:
            yield f"{name}{equals}{absolute(value, option)}"
        else:
            yield word
            # An option that may stand alone takes no following option for its value.
            alone = isinstance(option.flag_value, str) and left and left[-1].startswith("-")
            if left and not alone:
                yield absolute(left.pop(), option)


def _split(word: str) -> tuple[str, str, str]:
    """Split `--name=value`, or `-nvalue`."""
    return word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])


def absolute(value: str, option: click.Option) -> str:
    """Return the value of an option with absolute paths, if it names files."""
    metavar = option.metavar or ""
    if _COMMAND in metavar:
        return _absolute_command(value)
    if not _FILE.search(metavar):
        return value
    if option.multiple:
        return ",".join(_absolute_list(piece.strip()) for piece in value.split(","))
    return value if value == "-" else str(Path(value).absolute())


def _absolute_command(value: str) -> str:
    program, *arguments = shlex.split(value) or [""]
    relative = "/" in program and not Path(program).is_absolute() and Path(program).exists()
    return shlex.join([str(Path(program).absolute()), *arguments]) if relative else value


def is_relative_list(name: str) -> bool:
    """Return whether a target list is a file that is named by a relative path."""
    known = name in targets.list_names() or "://" in name
    return not known and not Path(name).is_absolute() and Path(name).exists()


def _absolute_list(name: str) -> str:
    return str(Path(name).absolute()) if is_relative_list(name) else name
