"""Translate what a volunteer reads: English, Russian and Kazakh, by gettext catalogues.

`_("… {name} …").format(name=…)` translates now; `N_` only marks a text that is translated later.
Records, JSON, CSV and logs stay English. Nothing is read before the first translation, and English
reads no catalogue at all.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations

LANGUAGES = ("kk", "ru", "en")
DOMAIN = "qazprobe"
# In the order in which POSIX lets them override each other.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
# How gettext joins a context and a text.
_CONTEXT = "\x04"
_GAP = re.compile(r"\{(\w+)\}")
# A longer text, which no rule writes, is not searched for phrases; nor are parts of parts of parts.
_LONGEST, _DEPTH = 600, 3
_SPEAKING = 15  # characters
# What may fill a gap: one or two words, no end of a part, no end of a sentence, anything.
_WORD = r"(?:(?![;,.](?: |$))[^ ])+?"
_WORDS, _NARROW = f"{_WORD}(?: {_WORD})?", r"(?:(?![;,.](?: |$)).)+?"
_SENTENCE, _ANY = r"(?:(?!\.(?: |$)).)+?", ".+?"


class _State:
    """The language of this process; no code until the first translation or `use`."""

    def __init__(self) -> None:
        self.code: str | None = None
        self.catalogue: NullTranslations = NullTranslations()
        self.chosen: Callable[[], str | None] | None = None


_STATE = _State()
# What one context speaks instead, such as the answer to one reader of a collector.
_SPOKEN: ContextVar[str | None] = ContextVar("spoken", default=None)


def _(message: str) -> str:
    """Translate a text into the current language; without a translation it stays English."""
    return _catalogue().gettext(message) if message else ""  # the empty one is gettext's header


def ngettext(singular: str, plural: str, number: int) -> str:
    """Translate a text that depends on a number; `.format(number=…)` fills it in."""
    return _catalogue().ngettext(singular, plural, number)


def N_(message: str) -> str:  # noqa: N802 - gettext's usual name, which tools look for
    """Mark a text for translation, and return it as it is."""
    return message


def use(code: str | None) -> None:
    """Set the language of this process; None: the user's, looked up at the next translation."""
    _STATE.code = code
    _STATE.catalogue = NullTranslations() if code is None else _load(code)


def ask(chosen: Callable[[], str | None]) -> None:
    """Name the function that returns the configured language; asked at the first translation."""
    _STATE.chosen = chosen
    use(None)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Speak a language within this context only; the process speaks its own elsewhere."""
    token = _SPOKEN.set(code)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def reason(text: str) -> str:
    """Translate the reason of a verdict, which a record holds in English.

    A sentence of the rules is looked up; a text with numbers and names in it is matched with the
    templates of the rules, and its parts are translated in turn. What matches nothing stays as it
    is: no part of the text is ever lost.
    """
    if current() == "en":
        return text
    found = _phrases(current()).translate(text)
    return found if text[:1].islower() else found[:1].upper() + found[1:]


def current() -> str:
    """Return the code of the current language."""
    _catalogue()
    return _SPOKEN.get() or _STATE.code or "en"


def language(chosen: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the chosen language, else the user's by environment or system, else English."""
    if chosen in LANGUAGES:
        return chosen
    wanted = [code for code in environ.get("LANGUAGE", "").split(":") if code]
    named = next((environ[name] for name in _VARIABLES if environ.get(name)), None)
    wanted += [named] if named else _of_the_system()
    codes = (code.replace("-", "_").partition("_")[0].partition(".")[0].lower() for code in wanted)
    return next((code for code in codes if code in LANGUAGES), "en")


def _catalogue() -> NullTranslations:
    spoken = _SPOKEN.get()
    if spoken is not None:
        return _kept(spoken)
    if _STATE.code is None:
        chosen = _STATE.chosen() if _STATE.chosen is not None else None
        use(language(chosen))
    return _STATE.catalogue


@cache
def _kept(code: str) -> NullTranslations:
    return _load(code)


def _load(code: str) -> NullTranslations:
    """Read the catalogue of a language; English has none, and a missing or broken one is empty."""
    if code == "en" or code not in LANGUAGES:
        return NullTranslations()
    from importlib.resources import files

    file = files("probe").joinpath("locale", code, "LC_MESSAGES", f"{DOMAIN}.mo")
    try:
        with file.open("rb") as stream:
            return GNUTranslations(stream)
    except Exception:  # noqa: BLE001 - a file that cannot be read leaves the texts in English
        return NullTranslations()


@cache
def _phrases(code: str) -> "_Phrases":
    return _Phrases(_load(code))


class _Phrases:
    """The translated reasons of one language: whole sentences, and templates with gaps."""

    # Where a text may be cut into parts that are translated one by one, in this order.
    _CUTS = (r"(?<=[.!?]) (?=\S)", r"; ", r", ", r": ", r" \(", r" and ")

    def __init__(self, catalogue: NullTranslations) -> None:
        self._whole: dict[str, str] = {}
        self._templates: list[tuple[re.Pattern[str], str]] = []
        templates: list[tuple[str, str]] = []
        for key, translated in vars(catalogue).get("_catalog", {}).items():
            context, mark, english = key.partition(_CONTEXT) if isinstance(key, str) else ("",) * 3
            if mark and context == "reason":
                self._whole[english] = translated
                templates += [(english, translated)] if "{" in english else []
        # The template with the longest fixed text says the most about a match.
        templates.sort(key=lambda pair: -len(_GAP.sub("", pair[0])))
        # First gaps that end where a text may be cut. Then wider ones, over sentences only if the
        # template has several. A template with little fixed text takes short gaps alone.
        for widths in ((_NARROW, _NARROW), (_ANY, _SENTENCE)):
            for english, there in templates:
                wide = widths[0] if ". " in english else widths[1]
                short = len(_GAP.sub("", english)) < _SPEAKING
                self._templates.append((_pattern(english, _WORDS if short else wide), there))

    def translate(self, text: str, depth: int = _DEPTH, cut: int = 0) -> str:
        """Translate a text as a whole, else part by part; return it as it is if nothing matches."""
        if not depth or len(text) > _LONGEST or not text.strip():
            return text
        return self._known(text, depth) or self._in_parts(text, depth, cut)

    def _known(self, text: str, depth: int) -> str | None:
        """Look a text up, also without its full stop and with a small first letter."""
        for body, end in ((text, ""), (text[:-1], ".")) if text.endswith(".") else ((text, ""),):
            for one, upper in ((body, False), (body[:1].lower() + body[1:], True)):
                found = self._whole.get(one) or self._filled(one, depth)
                if found:
                    return (found[:1].upper() + found[1:] if upper else found) + end
        return None

    def _filled(self, text: str, depth: int) -> str | None:
        for pattern, translated in self._templates:
            if match := pattern.fullmatch(text):
                gaps = {name: self.translate(part, depth - 1) for name, part in _groups(match)}
                return "".join(
                    gaps.get(piece, f"{{{piece}}}") if index % 2 else piece
                    for index, piece in enumerate(_GAP.split(translated))
                )
        return None

    def _in_parts(self, text: str, depth: int, cut: int) -> str:
        for index in range(cut, len(self._CUTS)):
            pieces = re.split(f"({self._CUTS[index]})", text)
            if len(pieces) == 1:
                continue
            parts = [self.translate(piece, depth, index + 1) for piece in pieces[::2]]
            same = [part for part, piece in zip(parts, pieces[::2], strict=True) if part == piece]
            if index > 1 and any(part.count(" ") > 1 for part in same):
                continue  # half a sentence in each language would be worse than one in English
            if parts != pieces[::2]:
                pieces[::2] = parts
                pieces[1::2] = [self._whole.get(one, one) for one in pieces[1::2]]
                return "".join(pieces)
        return text


def _groups(match: re.Match[str]) -> Iterable[tuple[str, str]]:
    return match.groupdict().items()


def _pattern(english: str, gap: str) -> re.Pattern[str]:
    """Make a template of the rules into a pattern: each gap takes at least one character."""
    pieces = _GAP.split(english)  # fixed text and names of gaps in turn
    fixed = [re.escape(piece) for piece in pieces[::2]]
    gaps = [f"(?P<{name}>{gap})" for name in pieces[1::2]]
    return re.compile("".join(a + b for a, b in zip(fixed, [*gaps, ""], strict=True)), re.DOTALL)


def _of_the_system() -> list[str]:
    """Return the languages of the user's desktop where the environment does not name them."""
    try:
        if sys.platform == "win32":
            import ctypes
            import locale

            number = ctypes.windll.kernel32.GetUserDefaultUILanguage()
            return [locale.windows_locale.get(number, "")]
        if sys.platform == "darwin":
            import plistlib
            from pathlib import Path

            file = Path.home() / "Library/Preferences/.GlobalPreferences.plist"
            named = plistlib.loads(file.read_bytes()).get("AppleLanguages", [])
            return [code for code in named if isinstance(code, str)]
    except Exception:  # noqa: BLE001 - a preference that cannot be read is never fatal
        return []
    return []
