"""Standard output as a destination of records: `-o -`, and a reader that has closed the pipe."""

import os
import sys

STDOUT = "-"
STDOUT_HANDLE = 1


def silence_stdout() -> None:
    """After a broken pipe, keep the interpreter from complaining about it at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else STDOUT_HANDLE)
    os.close(nowhere)
