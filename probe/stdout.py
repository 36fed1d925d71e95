"""Standard output as a destination of records (`-o -`), also after its reader closed the pipe."""

import os
import sys

STDOUT = "-"
STDOUT_HANDLE = 1


def silence_stdout() -> None:
    """After a broken pipe, send stdout to the null device so that the interpreter exits quietly."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.__stdout__.fileno() if sys.__stdout__ else STDOUT_HANDLE)
    os.close(null)
