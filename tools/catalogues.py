"""Bring the catalogues of translations up to date: `python -m tools.catalogues`.

There are two in each language: of the probe (`probe/locale`), and of the collector's pages
(`collector/web/locale`). It collects the texts, updates `LANGUAGE/LC_MESSAGES/*.po` (what is
translated stays, new texts come in empty, unused ones go out), compiles the `.mo` files that the
programs read, and prints how many translations are missing. `--check` writes nothing and exits with
1 if a file is out of date or a translation is missing.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from itertools import product
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from collector.web import languages
from probe.i18n import DOMAIN, LANGUAGES
from tools.messages import ROOT, Message, messages
from tools.page_messages import page_messages

# A date that never changes: the history of the files is in the repository.
_DATE = datetime(2026, 1, 1, tzinfo=UTC)
TRANSLATED = tuple(code for code in LANGUAGES if code != "en")


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one program, and where its translations are.

    Attributes:
        of: What they are the texts of.
    """

    of: str
    folder: Path
    domain: str
    collect: Callable[[], Iterator[Message]]


PROBE = Texts("qazprobe", ROOT / "probe" / "locale", DOMAIN, messages)
PAGES = Texts(
    "the collector's pages",
    ROOT / "collector" / "web" / "locale",
    languages.DOMAIN,
    page_messages,
)


class _Catalog(Catalog):
    """A catalogue whose header does not change with the release of babel."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """The header, without the line on babel."""
        return [one for one in super().mime_headers if one[0] != "Generated-By"]

    @mime_headers.setter
    def mime_headers(self, headers: object) -> None:
        """Ignore a header that was read: this class only writes."""


def path(code: str, texts: Texts = PROBE) -> Path:
    """The catalogue of a language, as its translators edit it."""
    return texts.folder / code / "LC_MESSAGES" / f"{texts.domain}.po"


def template(texts: Texts = PROBE) -> Catalog:
    """Every text to translate, without translations."""
    catalog = Catalog(project="qazprobe", charset="utf-8", creation_date=_DATE)
    for one in texts.collect():
        key = (one.text, one.plural) if one.plural is not None else one.text
        catalog.add(key, locations=[(one.file, 0)], context=one.context)
    return catalog


def read(code: str, texts: Texts = PROBE) -> Catalog:
    """The catalogue of a language as it is; a new language begins empty."""
    file = path(code, texts)
    if not file.exists():
        return Catalog(locale=code, project="qazprobe", charset="utf-8")
    with file.open("rb") as stream:
        return read_po(stream, locale=code)


def updated(code: str, texts: Texts = PROBE) -> Catalog:
    """The catalogue of a language with the texts of today."""
    old = read(code, texts)
    new = _Catalog(
        locale=code,
        project="qazprobe",
        version="catalogue",
        charset="utf-8",
        creation_date=_DATE,
        revision_date=_DATE,
        msgid_bugs_address="docs/translating.md",
        last_translator="qazprobe",
        language_team=code,
        fuzzy=False,
        header_comment=f"# The texts of {texts.of} in {Locale(code).english_name}.",
    )
    for message in template(texts):
        if not message.id:
            continue
        one = new.add(message.id, locations=message.locations, context=message.context)
        known = old.get(message.id, message.context)
        if known is not None:
            one.string, one.user_comments = known.string, known.user_comments
            one.flags |= known.flags & {"fuzzy"}
    return new


def as_po(catalog: Catalog) -> bytes:
    """The text file of a catalogue."""
    out = BytesIO()
    write_po(out, catalog, width=100, include_lineno=False, sort_output=False)
    return out.getvalue()


def as_mo(catalog: Catalog) -> bytes:
    """The compiled file of a catalogue; a text without all of its forms stays English."""
    out = BytesIO()
    for one in catalog:
        if one.id and not _complete(one.string):
            one.string = ""
    write_mo(out, catalog)
    return out.getvalue()


def missing(catalog: Catalog) -> list[str]:
    """The texts without a translation, or with an unconfirmed one."""
    return [str(one.id) for one in catalog if one.id and (one.fuzzy or not _complete(one.string))]


def _complete(string: object) -> bool:
    return all(string) if isinstance(string, list | tuple) else bool(string)


def main(arguments: list[str]) -> int:
    """Update or check every catalogue."""
    trouble = False
    for texts, code in product((PROBE, PAGES), TRANSLATED):
        catalog, file = updated(code, texts), path(code, texts)
        lacking, po, mo = missing(catalog), as_po(catalog), as_mo(updated(code, texts))
        stale = not file.exists() or file.read_bytes() != po
        compiled = file.with_suffix(".mo")
        stale = stale or not compiled.exists() or compiled.read_bytes() != mo
        counts = f"{len(catalog)} texts, {len(lacking)} without a translation"
        lines = [f"{texts.of} in {code}: {counts}", *lacking]
        print("\n  ".join(lines))  # noqa: T201 - this is its output
        if "--check" in arguments:
            trouble = trouble or stale or bool(lacking)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(po)
        compiled.write_bytes(mo)
    return int(trouble)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
