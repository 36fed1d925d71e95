"""What a person can do something about: one line, and the exit code that goes with it."""

from probe.exits import Exit


class Trouble(Exception):  # noqa: N818 - not an error of the program
    """The command cannot go on; the message is one line that says why and what to do."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
