"""The command `qazprobe`: finds its subcommands by their files, and imports only the one it runs.

A `UserError` is one line on stderr and an exit code. Any other exception that escapes is a bug: the
command says so and writes the traceback to the log rather than into a volunteer's mail.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from io import TextIOWrapper
from types import MappingProxyType
from typing import NoReturn

import click

from probe import __version__
from probe.errors import Exit, UserError

# Each command and what it does, here as well as in its module: `--help` must not import them all.
COMMANDS = MappingProxyType(
    {
        "run": "Measure targets and say what the network does to them.",
        "demo": "Show everything in a simulated country on this machine.",
        "consent": "Read what is done and what the risk is; agree, or withdraw.",
        "doctor": "Check this machine, its line and its clock.",
        "schedule": "Run by itself, by the system's own timer.",
        "results": "Look at what was measured.",
        "upload": "Send what is waiting to be sent.",
        "targets": "List, check and update target lists.",
        "trace": "Find where on the way a name is interfered with.",
        "erase": "Delete everything measured here, at the collectors too.",
        "config": "Show, check and begin a configuration.",
    }
)


class LazyGroup(click.Group):
    """A group whose commands are `command` in modules that are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of this file, without those whose module is not there."""
        del ctx
        return [name for name in COMMANDS if find_spec(_module(name)) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(_module(cmd_name)).command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [(name, COMMANDS[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _module(name: str) -> str:
    return f"probe.commands.{name}"


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: qazprobe consent, then qazprobe run. "
    "Exit codes: 0 done, 1 a bug or a full disk, 2 usage or no consent, 3 offline, "
    "4 not uploaded yet, 5 another run is on, 10 --fail-on matched.",
)
@click.version_option(__version__, prog_name="qazprobe", message="%(prog)s %(version)s")
def cli() -> None:
    """Measure, from this machine, what a network blocks, intercepts or slows down."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code."""
    _open_what_is_closed()
    _speak_whatever_the_terminal_reads()
    try:
        code = cli.main(args=arguments, prog_name="qazprobe", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as asked:
        code = asked.exit_code
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 130  # 128 + SIGINT
    except UserError as trouble:
        click.echo(f"qazprobe: {trouble}", err=True)
        code = trouble.code
    except BrokenPipeError:
        _silence_stdout()
        code = Exit.DONE
    except OSError as error:
        click.echo(f"qazprobe: {_in_words(error)}", err=True)
        code = Exit.BUG
    except Exception as error:  # noqa: BLE001 - the last place: a bug is exit 1
        click.echo(f"qazprobe: {_kept(error)}", err=True)
        code = Exit.BUG
    sys.exit(int(code) if isinstance(code, int) else Exit.DONE)


def _open_what_is_closed() -> None:
    """Lead a closed standard stream nowhere: else the next file that is opened takes its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as we live


def _speak_whatever_the_terminal_reads() -> None:
    """Escape a letter that its character set does not have: a text in Kazakh is no bug."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _in_words(error: OSError) -> str:
    what = error.strerror or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def _kept(error: BaseException) -> str:
    from probe import crash_log

    return f"a bug of ours ({type(error).__name__}); {crash_log.save_traceback(error)}"


def _silence_stdout() -> None:
    """After a broken pipe, keep the interpreter from complaining about it at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()
