"""The commands of `qazprobe`: finds them by file name and imports only the one that is run.

A `UserError` becomes one line on stderr and an exit code. Any other exception is a bug: the command
reports it in one line and writes the traceback to the crash log, not into cron's mail.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from io import TextIOWrapper
from types import MappingProxyType
from typing import Any

import click

from probe import __version__, i18n
from probe.errors import Exit, UserError, unpacked
from probe.i18n import N_, _
from probe.stdout import silence_stdout
from probe.translated_help import teach_click, translated

# The summary of each command is repeated here because `--help` must not import every module.
COMMANDS = MappingProxyType(
    {
        "run": N_("Measure targets and report interference."),
        "demo": N_("Run a complete demonstration against a simulated network on this machine."),
        "consent": N_("Read what is measured and what the risk is; give or withdraw consent."),
        "doctor": N_("Check this machine, its connection and its clock."),
        "schedule": N_("Run measurements from the system's timer."),
        "results": N_("List, explain, report and export results."),
        "judge": N_("Judge measurements of files again, ours or OONI's."),
        "upload": N_("Send the records that are waiting in the spool."),
        "targets": N_("List, check and update target lists."),
        "trace": N_("Locate the hop at which a name is interfered with."),
        "speed": N_("Measure the speed of this line against a server that you name."),
        "erase": N_("Delete everything kept on this machine and at the collectors; end what runs."),
        "config": N_("Show, check and create a configuration."),
    }
)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """End well where the reader of stdout closes the pipe, as `head` does.

    click itself would exit with 1 then, which stands for a bug here.
    """
    try:
        yield
    except BrokenPipeError:
        silence_stdout()
        raise click.exceptions.Exit(Exit.DONE) from None


class LazyGroup(click.Group):
    """A command group that imports a command's module only when that command is used."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **more: Any,
    ) -> click.Context:
        """Read the options; `--help` prints here."""
        with _reader_may_leave():
            return super().make_context(info_name, args, parent, **more)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        with _reader_may_leave():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of this file, except those whose module is missing."""
        del ctx
        return [name for name in COMMANDS if find_spec(_module(name)) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(_module(cmd_name)).command
        return translated(command) if isinstance(command, click.Command) else None

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help in the user's language."""
        click.Command.format_help(translated(self), ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [(name, _(COMMANDS[name])) for name in self.list_commands(ctx)]
        with formatter.section(_("Commands")):
            formatter.write_dl(rows)


def _module(name: str) -> str:
    return f"probe.commands.{name}"


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: qazprobe consent, then qazprobe run. "
    "Exit codes: 0 done, 1 bug or full disk, 2 usage or no consent, 3 offline, "
    "4 not uploaded yet, 5 another run is active, 10 --fail-on matched.",
)
@click.version_option(__version__, prog_name="qazprobe", message="%(prog)s %(version)s")
def cli() -> None:
    """Measure what the network of this machine blocks, intercepts or throttles."""


def run(arguments: Sequence[str] | None) -> int:
    """Run one command, by default that of the command line; return its exit code."""
    i18n.ask(_configured_language)
    teach_click()
    _escape_what_the_terminal_lacks()
    try:
        with unpacked():
            code = cli.main(args=arguments, prog_name="qazprobe", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as asked:
        code = asked.exit_code
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo(_("interrupted"), err=True)
        code = 130  # 128 + SIGINT
    except UserError as trouble:
        click.echo(f"qazprobe: {trouble}", err=True)
        code = trouble.code
    except BrokenPipeError:
        silence_stdout()
        code = Exit.DONE
    except Exception as error:  # noqa: BLE001 - the outermost handler: a bug is exit 1
        click.echo(f"qazprobe: {_problem(error)}", err=True)
        code = Exit.BUG
    return int(code) if isinstance(code, int) else Exit.DONE


def _escape_what_the_terminal_lacks() -> None:
    """Escape letters that the terminal's character set lacks instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _problem(error: Exception) -> str:
    """What the system refused; of a bug where its traceback is."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return where + _(error.strerror or type(error).__name__)
    from probe import crash_log

    saved = crash_log.save_traceback(error)
    return _("internal error ({name}); {saved}").format(name=type(error).__name__, saved=saved)


def _configured_language() -> str | None:
    """Read the setting `language`; a command that needs the configuration reports its errors."""
    if named := os.environ.get("QAZPROBE_LANGUAGE"):
        return named
    import tomllib

    from probe import paths

    try:
        file = paths.find().config / "qazprobe.toml"
        named = tomllib.loads(file.read_text(encoding="utf-8")).get("language")
    except (OSError, ValueError, RuntimeError, RecursionError):
        return None
    return named if isinstance(named, str) else None
