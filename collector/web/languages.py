"""The language of a page: as asked for, else as the reader's browser prefers.

Rule: texts are English in the templates and in `words.py`; a catalogue of gettext has each of them
in every other language.
"""

from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib import resources
from types import MappingProxyType
from typing import Literal, get_args

Language = Literal["en", "ru", "kk"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
# As each language calls itself.
NAMES: Mapping[Language, str] = MappingProxyType(
    {"en": "English", "ru": "Русский", "kk": "Қазақша"}
)
DOMAIN = "qazcollector"
_RANGES = 32


def preferred(header: str) -> Language:
    """The language that a header `Accept-Language` prefers; English where it names none of ours."""
    best: Language = "en"
    weight = 0.0
    for part in header.split(",")[:_RANGES]:
        name, _, quality = (one.strip().lower() for one in part.partition(";"))
        found = _known(name.partition("-")[0])
        q = _weight(quality)
        if found is not None and q > weight:
            best, weight = found, q
    return best


def _known(code: str) -> Language | None:
    return next((one for one in LANGUAGES if one == code), None)


def _weight(quality: str) -> float:
    if not quality.startswith("q="):
        return 1.0
    try:
        return float(quality[2:])
    except ValueError:
        return 0.0


@cache
def catalogue(language: Language) -> NullTranslations:
    """The translations of a language; English needs none."""
    if language == "en":
        return NullTranslations()
    folder = resources.files("collector.web").joinpath("locale", language, "LC_MESSAGES")
    with folder.joinpath(f"{DOMAIN}.mo").open("rb") as stream:
        return GNUTranslations(stream)
