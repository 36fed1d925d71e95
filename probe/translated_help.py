"""Show the help of commands, and what click says itself, in the user's language.

The texts stay in the commands as click expects them; here a copy of a command gets translations.
`tools.messages` collects the texts by the same `paragraphs`.
"""

import copy
import importlib
import inspect

import click

from probe import i18n

# Modules of click that translate their own texts by gettext, each by a name of its own.
_CLICK = ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types")
_AS_IT_IS = "\b\n"  # click's mark of a paragraph whose lines are not joined


class SummarisedGroup(click.Group):
    """A group whose help has the whole summary of each command: click cuts it to one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first sentences of their help."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(10_000)) for name, one in commands if one is not None]
        with formatter.section(i18n._("Commands")):
            formatter.write_dl(rows)


def paragraphs(text: str) -> list[str]:
    """Split a help text into paragraphs: joined lines, or an example with click's mark."""
    parts = inspect.cleandoc(text).split("\n\n")
    return [part if part.startswith(_AS_IT_IS) else " ".join(part.split()) for part in parts]


def translate_help(text: str) -> str:
    """Translate a help text paragraph by paragraph."""
    return "\n\n".join(map(_paragraph, paragraphs(text)))


def translated(command: click.Command) -> click.Command:
    """Return a copy of a command whose help is in the current language."""
    if i18n.current() == "en":
        return command
    found = copy.copy(command)
    found.help = translate_help(found.help) if found.help else found.help
    found.epilog = translate_help(found.epilog) if found.epilog else found.epilog
    found.short_help = i18n._(found.short_help) if found.short_help else found.short_help
    found.params = [_option(one) for one in found.params]
    if isinstance(found, click.Group):
        found.commands = {name: translated(one) for name, one in found.commands.items()}
    return found


def teach_click() -> None:
    """Let click look its own texts up in our catalogues."""
    for name in _CLICK:
        module = importlib.import_module(f"click.{name}")
        for function in ("_", "ngettext"):
            if hasattr(module, function):
                setattr(module, function, getattr(i18n, function))


def _paragraph(text: str) -> str:
    if text.startswith(_AS_IT_IS):
        return _AS_IT_IS + i18n._(text.removeprefix(_AS_IT_IS))
    found = i18n._(text)
    return i18n.reason(text) if found == text else found  # the text may be a template, filled in


def _option(option: click.Parameter) -> click.Parameter:
    if not isinstance(option, click.Option) or not option.help:
        return option
    found = copy.copy(option)
    found.help = translate_help(option.help)
    return found
