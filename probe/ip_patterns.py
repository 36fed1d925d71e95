"""Find IP addresses in text, in every notation and encoding, and replace those not allowed.

This is an allow-list. Behind a NAT the probe does not know the user's public address, so everything
that can be an address is treated as one: dotted quads with various separators, IPv6 in every valid
notation, reversed and mapped forms, plain numbers, hexadecimal; and the same in percent-encoding,
HTML entities, string escapes, base64 and hex. False positives (a version number with four parts, a
ten-digit number) are accepted: the user's safety matters more.

Not found: packed bytes that are ordinary letters, and encrypted data.
"""

import binascii
import html
import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import product
from urllib.parse import unquote

TEXT_MARK = "[scrubbed]"
NAME_MARK = "scrubbed"
LAYERS = 6
# The same headers, issuers and sentences are in most records of a run: they are read once.
_REMEMBERED = 1024
_harmless: dict[str, None] = {}
_LONGEST = 256  # characters; an address with brackets and a zone is shorter
CUT_LENGTH = 250  # texts of this length may be cut within an address

ReMatch = re.Match[str]

_OCTET = r"(?:0[xX][0-9a-fA-F]{1,2}|[0-9]{1,12})"
_DOT = r"(?:\s?[.\u00b7\u3002\uff0e\uff61]\s?|[-_,]|[\[({]\s?(?:\.|dot)\s?[\])}]|\s(?:dot|DOT)\s)"
_QUAD = re.compile(
    rf"(?<![0-9]){_OCTET}(?:{_DOT}{_OCTET}){{3,}}(?![0-9])(\.in-addr\.arpa)?", re.IGNORECASE
)
_NIBBLES = re.compile(r"(?<![0-9a-z])(?:[0-9a-f]\.){7,31}[0-9a-f](?![0-9a-z])", re.IGNORECASE)
_COLONS = re.compile(
    r"\[?(?P<run>[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*"
    r"(?:(?<=[:0-9])[0-9]*(?:\.[0-9]{1,3}){3})?)"
    r"(?:%25[\w.~-]+|%[a-z][\w.~-]*|%[0-9]{1,2}(?![0-9a-f]))?\]?",  # a zone, as in fe80::1%eth0
    re.IGNORECASE,
)
_PAIRS = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{2}([:\- ])[0-9a-f]{2}(?:\1[0-9a-f]{2}){2,}(?![0-9a-f])", re.IGNORECASE
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{5,32}|(?<![0-9])[0-9]{8,39}(?![0-9])")
_HEX = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{32})(?![0-9a-fA-F])")
_HOST = re.compile(
    r"(?<=://)(?:[0-9]+|0x[0-9a-f]+)(?:\.(?:[0-9]+|0x[0-9a-f]+)){0,2}(?=[:/?#]|$)", re.IGNORECASE
)
_CUT = re.compile(
    r"(?:(?<![0-9])(?:[0-9]{1,3}\.){2,3}[0-9]{0,3}"
    r"|(?<![0-9a-f:])(?:[0-9a-f]{1,4}:+){2,}[0-9a-f]*)$",
    re.IGNORECASE,
)
_PACKED = re.compile(r"(?:(?<![\w+])[\w+/-]{22}|[\w+/-]{6})==(?!=)", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{10,}={0,2}")
_HEX_TEXT = re.compile(r"[0-9a-fA-F]{14,}")
_ESCAPE = re.compile(
    r"\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\u\{([0-9a-fA-F]{1,6})\}|\\([0-7]{3})"
)
_ENTITY = re.compile(r"&(?:amp;)*(?:#|num|period|colon|lsqb|lbrack)")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_SUSPICIOUS = re.compile(r"\d|[:=]|[A-Fa-f]{8}|[A-Za-z0-9+/_-]{10}")
_WORDS = re.compile(r"[ -~]{7}")
_DIGITS = re.compile(r"[0-9]")
# What `_COLONS`, `_NUMBER` and `_HEX` cannot do without; looking for that takes half as long.
_TWO_COLONS = re.compile(r":[0-9a-fA-F]*:")
_LONG_NUMBER = re.compile(r"0[xX]|[0-9]{8}")
_LONG_HEX = re.compile(r"[0-9a-fA-F]{8}")
_CUT_ENDS = "0123456789abcdefABCDEF.:"
_NIBBLE_DOTS, _PAIR_MARKS = 7, 3  # in the shortest match of `_NIBBLES`, and of `_PAIRS`
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_TOKENS = (re.compile(r"\w+"), re.compile(r"[0-9]+"), re.compile(r"[0-9a-fA-F]+"))
_URLSAFE = str.maketrans("-_", "+/")


class Allowed:
    """The addresses that are kept, and texts (the input) whose numbers are kept."""

    def __init__(self, addresses: Collection[str], own: Collection[str] = ()) -> None:
        found = (parsed(text) for text in addresses)
        self._addresses = frozenset(address for address in found if address is not None)
        self._own = frozenset(
            token for text in own for kind in _TOKENS for token in kind.findall(text)
        )
        self.cleaned: dict[tuple[str, str], str] = {}  # a cache: one record repeats the same texts
        self.spared = False  # whether something was kept because it is allowed

    def address(self, value: IPv4Address | IPv6Address) -> bool:
        """Whether this address is allowed, in its IPv4-mapped form too."""
        mapped = value.ipv4_mapped if isinstance(value, IPv6Address) else None
        kept = value in self._addresses or (mapped is not None and mapped in self._addresses)
        self.spared = self.spared or kept
        return kept

    def text(self, text: str) -> bool:
        """Whether this address, in a usual notation, is allowed."""
        value = parsed(text)
        return value is not None and self.address(value)

    def number(self, value: int) -> bool:
        """Whether this number, read as an address, is allowed."""
        if value < 1 << 32:
            return self.address(IPv4Address(value))
        return value < 1 << 128 and self.address(IPv6Address(value))

    def own(self, token: str) -> bool:
        """Whether this number is in the input."""
        kept = token in self._own
        self.spared = self.spared or kept
        return kept


def parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address in a usual notation, or None."""
    return _parsed(text.strip("[]").partition("%")[0]) if len(text) < _LONGEST else None


@lru_cache(maxsize=1024)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def clean(text: str, allowed: Allowed, mark: str = TEXT_MARK) -> str:
    """Replace every address in `text` that is not allowed, through every layer of encoding."""
    if text in _harmless or not _SUSPICIOUS.search(text):
        return text
    known = allowed.cleaned.get((text, mark))
    if known is None:
        allowed.spared = False
        known = allowed.cleaned[text, mark] = _cleaned(text, allowed, mark)
        if known == text and not allowed.spared and len(text) <= _LONGEST:
            _remember_harmless(text)
    return known


def _remember_harmless(text: str) -> None:
    """Keep a text in which there is nothing to replace, whatever is allowed."""
    if len(_harmless) >= _REMEMBERED:
        del _harmless[next(iter(_harmless))]
    _harmless[text] = None


def _cleaned(text: str, allowed: Allowed, mark: str) -> str:
    for _ in range(LAYERS):
        cleaned = _through_layers(text, allowed, mark)
        if cleaned == text:
            return text
        text = cleaned
    return mark


def _through_layers(text: str, allowed: Allowed, mark: str) -> str:
    text = _plain(text, allowed, mark)
    view = text
    for _ in range(LAYERS):
        inner = _unwrapped(view)
        if inner == view:
            return text
        view = inner
        if (cleaned := _plain(view, allowed, mark)) != view:
            return cleaned
    return mark  # more layers than legitimate text has


def _unwrapped(text: str) -> str:
    """The text with one layer of percent-encoding, entities and escapes decoded."""
    if "%" in text:
        text = unquote(text, errors="replace")
    if _ENTITY.search(text):
        text = html.unescape(text)
    if "\\" in text:
        text = _ESCAPE.sub(_unescaped, text)
    return text if text.isascii() else _INVISIBLE.sub("", text)


def _unescaped(found: ReMatch) -> str:
    digits, octal = found[1] or found[2] or found[3], found[4]
    code = int(octal, 8) if octal else int(digits, 16)
    return chr(code) if code <= 0x10FFFF else "?"


def _plain(text: str, allowed: Allowed, mark: str, *, deep: int = 2) -> str:
    """Replace addresses without decoding layers, but in base64 and hex tokens."""
    text = _spelled(text, allowed, mark)
    if deep:
        for pattern, decode in ((_BASE64, _base64_views), (_HEX_TEXT, _hex_views)):
            text = pattern.sub(_token(decode, allowed, mark, deep), text)
    return text


def _spelled(text: str, allowed: Allowed, mark: str) -> str:
    """Replace addresses; reversed IPv6 names before their parts."""
    if text.count(".") < _NIBBLE_DOTS:
        return _directly(text, allowed, mark)
    at, done = 0, ""
    for found in _NIBBLES.finditer(text):
        kept = found[0] if _keeps_nibbles(found[0], allowed) else mark
        done += _directly(text[at : found.start()], allowed, mark) + kept
        at = found.end()
    return done + _directly(text[at:], allowed, mark)


def _directly(text: str, allowed: Allowed, mark: str) -> str:
    def unless(keeps: Callable[[ReMatch], bool]) -> Callable[[ReMatch], str]:
        return lambda found: found[0] if keeps(found) else mark

    # What a pattern needs is looked for first: most texts lack it.
    if not text.isascii():
        text = _OTHER_DIGIT.sub(lambda found: str(int(found[0])), text)
    if _TWO_COLONS.search(text):
        text = _COLONS.sub(unless(lambda m: _keeps_colons(m, allowed)), text)
    if _DIGITS.search(text):
        text = _QUAD.sub(unless(lambda m: _keeps_quad(m, allowed)), text)
        if "://" in text:
            text = _HOST.sub(unless(lambda m: allowed.own(m[0])), text)
    if any(text.count(between) >= _PAIR_MARKS for between in ":- "):
        text = _PAIRS.sub(mark, text)
    if _LONG_NUMBER.search(text):
        text = _NUMBER.sub(unless(lambda m: _keeps_number(m[0], allowed)), text)
    if _LONG_HEX.search(text):
        text = _HEX.sub(unless(lambda m: allowed.own(m[0]) or allowed.number(int(m[0], 16))), text)
    if "==" in text:
        text = _PACKED.sub(unless(lambda m: _keeps_packed(m[0], allowed)), text)
    return _without_cut(text, mark) if len(text) >= CUT_LENGTH else text


def _without_cut(text: str, mark: str) -> str:
    """The text without the beginning of an address at its end, which alone is looked at."""
    found = _CUT.search(text, len(text.rstrip("\n").rstrip(_CUT_ENDS)))
    return text if found is None else text[: found.start()] + mark + text[found.end() :]


def _keeps_quad(found: ReMatch, allowed: Allowed) -> bool:
    """Whether no four consecutive numbers are an address that is not allowed."""
    suffix = found[1] or ""
    parts = re.findall(_OCTET, found[0].removesuffix(suffix))
    for at in range(len(parts) - 3):
        for four in product(*map(_octet, parts[at : at + 4])):
            address = IPv4Address(bytes(reversed(four) if suffix else four))
            if not allowed.address(address):
                return False
    return True


def _octet(text: str) -> tuple[int, ...]:
    """The values that one part of a dotted quad can have.

    Some parsers read a leading 0 as octal; a part that is too long may have other digits attached.
    """
    if text[:2] in {"0x", "0X"}:
        return (int(text, 16),)
    values = {int(text), int(text[:3]), int(text[-3:])}
    if text[0] == "0" and not set(text) & {"8", "9"}:
        values.add(int(text, 8))
    return tuple(value for value in values if value <= 255)


def _keeps_nibbles(text: str, allowed: Allowed) -> bool:
    digits = text.replace(".", "")[::-1]
    return len(digits) == 32 and allowed.number(int(digits, 16))


def _keeps_colons(found: ReMatch, allowed: Allowed) -> bool:
    """Whether it is allowed, or a time, a MAC address (found later), a CSS or C++ name."""
    run = found["run"]
    if allowed.text(run.strip(":") if run.strip(":").count(":") == 7 else run):
        return True
    if "::" not in run and run.count(":") < 7:
        return "." not in run or run.count(":") < 6
    if run.strip(":") == "":
        return True
    text, start, end = found.string, *found.span("run")
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    glued = any(c.isalpha() or c in "-_" for c in around)
    return glued and not any(c.isdigit() for c in run) and ":" not in run.replace("::", "")


def _keeps_number(text: str, allowed: Allowed) -> bool:
    if allowed.own(text):
        return True
    if text[:2] in {"0x", "0X"}:
        return int(text, 16) < 1 << 24 or allowed.number(int(text, 16))
    if len(text) == 12 and all(int(text[at : at + 3]) <= 255 for at in (0, 3, 6, 9)):
        octets = bytes(int(text[at : at + 3]) for at in (0, 3, 6, 9))
        return allowed.address(IPv4Address(octets))
    bases = (10, 8) if text[0] == "0" and not set(text) & {"8", "9"} else (10,)
    return all(_keeps_value(int(text, base), allowed) for base in bases)


def _keeps_value(value: int, allowed: Allowed) -> bool:
    """Whether it is allowed, or outside the ranges of addresses in use."""
    shaped = 1 << 24 <= value < 1 << 32 or 1 << 96 <= value < 1 << 128
    return not shaped or allowed.number(value)


def _keeps_packed(text: str, allowed: Allowed) -> bool:
    try:
        packed = binascii.a2b_base64(text.translate(_URLSAFE))
    except binascii.Error:
        return True
    return len(packed) not in {4, 16} or allowed.address(ip_address(packed))


def _token(
    decode: Callable[[str], Iterator[str]], allowed: Allowed, mark: str, deep: int
) -> Callable[[ReMatch], str]:
    """A replacement function for tokens that encode an address."""

    def replaced(found: ReMatch) -> str:
        for view in decode(found[0]):
            for text in {view, _unwrapped(view)} if _is_text(view) else ():
                if _plain(text, allowed, mark, deep=deep - 1) != text:
                    return mark
        return found[0]

    return replaced


def _is_text(view: str) -> bool:
    """Whether decoded data is text or contains text: most tokens are not encoded text."""
    return bool(_WORDS.search(view)) or 4 * view.count("\ufffd") < len(view)


def _base64_views(token: str) -> Iterator[str]:
    """A token decoded from each of the four offsets at which a base64 group can begin."""
    letters = token.rstrip("=").translate(_URLSAFE)
    for start in range(4):
        usable = letters[start:]
        usable = usable[: len(usable) - (len(usable) % 4 == 1)]
        if len(usable) >= 10:
            padded = usable + "=" * (-len(usable) % 4)
            yield binascii.a2b_base64(padded).decode("utf-8", "replace")


def _hex_views(token: str) -> Iterator[str]:
    for start in (0, 1):
        digits = token[start:]
        yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")
