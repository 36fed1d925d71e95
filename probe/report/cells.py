"""Text in columns of a terminal: widths, padding, wrapping that keeps words whole."""

import re
import unicodedata

# Where a word that is wider than its line may be cut: after these signs of URLs and ids.
_PIECES = re.compile(r"[^./?&=_,:;-]*(?:://|[./?&=_,:;-]+|$)")


def cells(text: str) -> int:
    """Return the width of a text on a terminal, in columns."""
    return sum(map(_width, text))


def pad(text: str, size: int) -> str:
    """Fill a text up with spaces to this width."""
    return text + " " * max(size - cells(text), 0)


def wrap(text: str, width: int, *, indent: int = 0) -> list[str]:
    """Break a text into lines of at most `width` columns, between words.

    A word that is wider than a line is cut after a dot, a slash or the like; a piece without any
    such sign that is still too wide is cut where the line ends.

    Args:
        indent: Spaces before every line but the first.
    """
    lines = _Lines(width, min(indent, width // 2))
    for word in text.split():
        if cells(word) <= lines.full:
            lines.add(word, apart=True)
            continue
        for number, piece in enumerate(filter(None, _PIECES.findall(word))):
            lines.add(piece, apart=number == 0)
    return lines.all()


class _Lines:
    """Lines that are being filled."""

    def __init__(self, width: int, indent: int) -> None:
        self.full = width - indent
        self._width, self._indent = width, " " * indent
        self._done: list[str] = []
        self._line = ""

    def add(self, piece: str, *, apart: bool) -> None:
        """Add a piece, on a new line if it does not fit; `apart`: after a space."""
        begun = self._line.strip() != ""
        gap = " " if apart and begun else ""
        size = cells(piece)
        if cells(self._line) + len(gap) + size <= self._width:
            self._line += gap + piece
        elif size <= self.full:
            self._next()
            self._line += piece
        else:
            self._cut(gap + piece)

    def all(self) -> list[str]:
        """Return the lines; an empty text is one empty line."""
        return [*self._done, self._line] if self._line.strip() or not self._done else self._done

    def _cut(self, piece: str) -> None:
        for char in piece:
            if cells(self._line) + _width(char) > self._width:
                self._next()
            self._line += char

    def _next(self) -> None:
        if self._line.strip():
            self._done.append(self._line)
        self._line = self._indent


def _width(char: str) -> int:
    # Wide East Asian characters take two columns, combining marks none.
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
