"""Write the manual pages `packaging/man/*.1` from the commands' own help.

Run as `python -m tools.man_pages`; `tools.commands_docs` writes them too.
"""

import inspect
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import click

from probe import __version__
from probe.errors import ORDER, Exit
from tools.commands_docs import PROGRAMS, options, root, walk

FOLDER = Path(__file__).parents[1] / "packaging" / "man"
DATE = "2026-11-30"  # of the release; a page that changed daily could not be compared
# roff would print typographic signs for these, and a command could not be copied from the page.
_SIGNS = str.maketrans(
    {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
)
MEANINGS: Mapping[Exit, str] = MappingProxyType(
    {
        Exit.DONE: "Finished, whatever the findings.",
        Exit.BUG: "An internal error, or a full disk.",
        Exit.USAGE: "Usage, configuration, or no consent.",
        Exit.OFFLINE: "Offline: nothing could be measured.",
        Exit.NOT_SENT: "Finished, but not uploaded: the records are in the spool.",
        Exit.LOCKED: "Another run holds the lock.",
        Exit.MATCHED: "An outcome selected by --fail-on was found.",
    }
)
SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "qazprobe": "measure what the network of this machine blocks, intercepts or throttles",
        "qazcollector": "receive, judge and publish the measurements of many probes",
    }
)
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "QAZPROBE_HOME": "The folder of the state and of the configuration, in place of the "
        "platform's folders.",
        "QAZPROBE_INVITE": "The token that enrols this machine at a collector.",
        "QAZPROBE_*": "Every setting of qazprobe.toml in capitals, such as QAZPROBE_MAX_TIME. "
        "Options override variables; variables override the file.",
        "LANGUAGE, LC_ALL, LC_MESSAGES, LANG": "The language of messages: English, Russian or "
        "Kazakh.",
    }
)
FILES: Mapping[str, str] = MappingProxyType(
    {
        "~/.config/qazprobe/qazprobe.toml": "Settings; qazprobe config path prints where the file "
        "is on this system.",
        "~/.local/share/qazprobe/": "Consent, keys, results and the spool. Only the user can read "
        "it; qazprobe erase removes it.",
    }
)


def escape(text: str) -> str:
    """Make text safe in the body of a page: no escapes of roff, plain signs, only ASCII."""
    found = text.translate(_SIGNS)
    return "".join(sign if sign.isascii() else f"\\[u{ord(sign):04X}]" for sign in found)


def line(text: str) -> str:
    """Text that is not wrapped here; a dot at its start would be a request of roff."""
    made = escape(" ".join(text.split()))
    return f"\\&{made}" if made.startswith(".") else made


def term_line(text: str) -> str:
    """A term as a line; a list of words may be broken after each of them."""
    return line(text).replace("|", "|\\:")


def filled(text: str) -> str:
    """Running text, which roff fills, in lines of at most 80 bytes."""
    made = textwrap.wrap(escape(text), 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{one}" if one.startswith(".") else one for one in made)


def paragraphs(help_text: str) -> Iterator[str]:
    """A help text; click marks with a backspace what keeps its lines."""
    for part in filter(None, inspect.cleandoc(help_text).split("\n\n")):
        kept = part.removeprefix("\b\n")
        if kept == part:
            yield f"{filled(part)}\n"
        else:
            lines = "\n".join(f"\\&{escape(one)}" for one in kept.splitlines())
            yield f".RS 4\n.nf\n{lines}\n.fi\n.RE\n"


def separated(parts: Iterable[str]) -> str:
    """Paragraphs with the request between them that begins a new one."""
    first, *others = parts
    return first + "".join(f"{_begins(one)}{one}" for one in others)


def _begins(paragraph: str) -> str:
    return ".sp\n" if paragraph.startswith(".RS") else ".PP\n"


def described(items: Mapping[str, str]) -> Iterator[str]:
    """A list of terms, each with its meaning."""
    for term, meaning in items.items():
        yield f".TP\n.B {term_line(term)}\n{filled(meaning)}\n"


def option_list(command: click.Command, context: click.Context) -> dict[str, str]:
    """The options of a command with their help."""
    records = (option.get_help_record(context) for option in options(command))
    return dict(record for record in records if record)


def usage(path: str, command: click.Command, context: click.Context) -> str:
    """The synopsis of a command."""
    pieces = " ".join(command.collect_usage_pieces(context))
    return f".B {line(path)}\n{line(pieces)}\n" if pieces else f".B {line(path)}\n"


def subsection(path: str, command: click.Command) -> Iterator[str]:
    """One subcommand."""
    context = click.Context(command, info_name=path)
    yield f".SS {line(path)}\n"
    yield usage(path, command, context)
    yield from (f"{_begins(one)}{one}" for one in paragraphs(command.help or ""))
    yield from described(option_list(command, context))


def page(name: str, program: click.Command) -> str:
    """The whole page of one program."""
    context = click.Context(program, info_name=name)
    other = next(other for other, _ in PROGRAMS if other != name)
    parts = [
        '.\\" Made from the help of the commands by python -m tools.man_pages; do not edit.\n',
        f'.TH {name.upper()} 1 "{DATE}" "qazprobe {__version__}" "User Commands"\n',
        ".ad l\n",  # what has few places to break it does not fill a line
        f".SH NAME\n{name} \\-\n{filled(SUMMARIES[name])}\n.SH SYNOPSIS\n",
        usage(name, program, context),
        ".SH DESCRIPTION\n",
        separated([*paragraphs(program.help or ""), *paragraphs(program.epilog or "")]),
        ".SH OPTIONS\n",
        *described(option_list(program, context)),
        ".SH COMMANDS\n",
    ]
    for path, command in walk(program, name):
        if path != name:
            parts += subsection(path, command)
    if name == "qazprobe":
        parts += _of_the_probe()
    parts.append(f".SH SEE ALSO\n.BR {other} (1)\n")
    return "".join(parts)


def _of_the_probe() -> Iterator[str]:
    yield ".SH EXIT STATUS\nThe first that applies:\n"
    yield from described({str(int(code)): MEANINGS[code] for code in ORDER})
    yield ".SH ENVIRONMENT\n"
    yield from described(ENVIRONMENT)
    yield ".SH FILES\n"
    yield from described(FILES)


def pages() -> Iterator[tuple[Path, str]]:
    """Every page with its file."""
    for name, module in PROGRAMS:
        yield FOLDER / f"{name}.1", page(name, root(module))


def write() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages():
        path.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the pages, or check with `--check` that they are current."""
    os.environ["LC_ALL"] = "C"
    if "--check" in arguments:
        made = pages()
        return int(any(not p.exists() or p.read_text(encoding="utf-8") != t for p, t in made))
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
