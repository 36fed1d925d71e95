"""Translate what a volunteer reads: English, Russian and Kazakh, by gettext catalogues.

`_("… {name} …").format(name=…)` translates now; `N_` only marks a text that is translated later.
Records, JSON, CSV and logs stay English. Nothing is read before the first translation, and English
reads no catalogue at all.
"""

import os
import sys
from collections.abc import Callable, Mapping
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files

LANGUAGES = ("kk", "ru", "en")
DOMAIN = "qazprobe"
# In the order in which POSIX lets them override each other.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


class _State:
    """The language of this process; None until the first translation or `use`."""

    code: str | None = None
    catalogue: NullTranslations = NullTranslations()
    chosen: Callable[[], str | None] | None = None


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
    _State.code = code
    _State.catalogue = NullTranslations() if code is None else _load(code)


def ask(chosen: Callable[[], str | None]) -> None:
    """Name the function that returns the configured language; asked at the first translation."""
    _State.chosen = chosen
    use(None)


def current() -> str:
    """Return the code of the current language."""
    _catalogue()
    return _State.code or "en"


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
    if _State.code is None:
        chosen = _State.chosen() if _State.chosen is not None else None
        use(language(chosen))
    return _State.catalogue


def _load(code: str) -> NullTranslations:
    """Read the catalogue of a language; English has none, and a missing or broken one is empty."""
    if code == "en" or code not in LANGUAGES:
        return NullTranslations()
    file = files("probe").joinpath("locale", code, "LC_MESSAGES", f"{DOMAIN}.mo")
    try:
        with file.open("rb") as stream:
            return GNUTranslations(stream)
    except Exception:  # noqa: BLE001 - a file that cannot be read leaves the texts in English
        return NullTranslations()


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
