"""Escape untrusted text for terminals and spreadsheets.

Titles, headers and certificate names come from the network. On a terminal they could move the
cursor, overwrite output or reverse the reading order; in a spreadsheet they could be formulas.
"""

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Cc controls, Cf formats (bidirectional overrides, zero width), Cs lone surrogates, Co private use,
# Cn unassigned, Zl and Zp line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str, limit: int = 300) -> str:
    """Return one line of printable text, with control characters as escape codes."""
    safe = "".join(_escape(char) for char in text[:limit])
    return safe + ("…" if len(text) > limit else "")


def cell(text: str) -> str:
    """Return text for a spreadsheet cell; a text that could be a formula is quoted."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _escape(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    if unicodedata.category(char) in _UNSAFE:
        return f"\\u{ord(char):04x}"
    return char
