"""Make hostile text harmless where people look at it.

Titles, headers and certificate names are written by strangers. On a terminal they could move the
cursor, rewrite what was said before or reverse the reading order; in a spreadsheet they could run.
"""

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Cc controls, Cf formats (bidirectional overrides, zero width), Cs lone surrogates, Co private use,
# Cn unassigned, Zl and Zp line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str, limit: int = 300) -> str:
    """One line of printable text: everything that steers a terminal is spelt out as a code."""
    safe = "".join(_visible(char) for char in text[:limit])
    return safe + ("…" if len(text) > limit else "")


def cell(text: str) -> str:
    """Text for a spreadsheet cell: what a spreadsheet would take for a formula is quoted."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _visible(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    if unicodedata.category(char) in _UNSAFE:
        return f"\\u{ord(char):04x}"
    return char
