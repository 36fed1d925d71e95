"""The command `qazprobe`. Saying the version imports nothing else, so that it is said at once."""

import os
import sys

from probe import __version__

TYPE_CHECKING = False  # the module `typing` takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(arguments: "Sequence[str] | None" = None) -> "NoReturn":
    """Run one command and exit with its code."""
    _reopen_closed_streams()
    if list(sys.argv[1:] if arguments is None else arguments) == ["--version"] and _version_said():
        sys.exit(0)
    from probe.command_line import run

    sys.exit(run(arguments))


def _version_said() -> bool:
    """Whether stdout took the version; the full start reports a failure, as for every command."""
    try:
        sys.stdout.write(f"qazprobe {__version__}\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _reopen_closed_streams() -> None:
    """Connect closed standard streams to the null device, so that no file gets their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - open until the process ends


if __name__ == "__main__":
    main()
