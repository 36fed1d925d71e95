"""Make a page of a template.

Rule: a page is one document without scripts and without anything from elsewhere; every value is
escaped; its style is the one that its Content-Security-Policy names by hash.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from gettext import NullTranslations
from importlib import resources
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from collector.web import charts, times, words
from collector.web.languages import LANGUAGES, Language, catalogue
from collector.web.times import day_text

OPERATOR, PUBLIC = "style.css", "explorer.css"


@cache
def style(name: str = OPERATOR) -> str:
    """A style sheet."""
    file = resources.files("collector.web") / "templates" / name
    return file.read_text(encoding="utf-8")


@cache
def policy(name: str) -> str:
    """The Content-Security-Policy of pages with this style sheet."""
    digest = base64.b64encode(hashlib.sha256(style(name).encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def headers() -> Mapping[str, str]:
    """The headers of the operator's pages."""
    return {"Content-Security-Policy": policy(OPERATOR), "Cache-Control": "no-store"}


def render(template: str, language: Language = "en", **values: object) -> str:
    """A page as HTML."""
    return environment(language).get_template(template).render(values)


def compile_all() -> None:
    """Compile every template for every language, which takes longer than making a page."""
    for language in LANGUAGES:
        for name in environment(language).list_templates(filter_func=_is_template):
            environment(language).get_template(name)


def _is_template(name: str) -> bool:
    return name.endswith((".html", ".atom"))


def bare() -> Environment:
    """Templates in no language yet."""
    made = Environment(
        loader=PackageLoader("collector.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        # They are files of this program: looking whether they changed costs each page some calls.
        auto_reload=False,
    )
    made.policies["ext.i18n.trimmed"] = True
    return made


@cache
def environment(language: Language) -> Environment:
    """Templates in a language."""
    made = bare()
    translations = catalogue(language)
    # The extension adds these methods when it is loaded.
    install: Callable[..., None] = getattr(made, "install_gettext_translations")  # noqa: B009 - mypy does not know it
    install(translations, newstyle=True)
    # They are files of this program, and an escaped quote would change what is hashed.
    made.globals |= {
        "style": Markup(style(OPERATOR)),  # noqa: S704 - see above
        "explorer_style": Markup(style(PUBLIC)),  # noqa: S704 - see above
        "language": language,
        "words": words,
        "charts": charts,
        "time_of": times.shown,
        "span_of": times.span,
        "seconds_of": times.seconds,
        "city": lambda country: translations.gettext(times.city(country) or "UTC"),
        "day_text": day_text,
    }
    made.filters |= {"day": day, "minute": minute, "number": number}
    made.filters |= _filters(translations)
    made.globals["chart_days"] = partial(_chart_days, made)
    return made


def _filters(translations: NullTranslations) -> dict[str, Callable[[Any], str]]:
    """What people call the words of the closed lists; an unknown word is shown as it is."""
    say = partial(_said, translations)
    return {
        "outcome": partial(say, words.OUTCOMES),
        "kind": partial(say, words.KINDS),
        "kind_sentence": partial(say, words.KIND_SENTENCES),
        "state": partial(say, words.STATES),
        "mechanism": partial(say, words.MECHANISMS),
        "category": partial(say, words.CATEGORIES),
        "source": partial(say, words.SOURCES),
        "kinds": partial(say, words.KINDS_PLURAL),
        "missing": partial(say, words.CUT_EVIDENCE),
        "refusal": partial(say, words.REFUSALS),
        "reason": partial(say, words.REASONS),
        "told": partial(_told, say),
        "rate": charts.rate_text,
        "letter": lambda word: translations.pgettext(words.LETTER, words.LETTERS.get(word, " ")),
    }


class _Day(Protocol):
    """A day of a site on a network."""

    @property
    def day(self) -> int: ...
    @property
    def outcome(self) -> str: ...
    @property
    def sure(self) -> bool: ...
    @property
    def found(self) -> int: ...
    @property
    def able(self) -> int: ...
    @property
    def mechanisms(self) -> Sequence[str]: ...


def _chart_days(of: Environment, days: Iterable[_Day]) -> list[charts.DayCell]:
    """Days as cells, each with its letter and what a pointer shows."""
    letter, outcome = of.filters["letter"], of.filters["outcome"]
    return [
        charts.DayCell(
            one.outcome,
            letter(one.outcome),
            " ".join(
                (f"{day_text(one.day)}: {outcome(one.outcome)}", *_numbers(one), *one.mechanisms)
            ),
            one.sure,
        )
        for one in days
    ]


def _numbers(one: _Day) -> Iterable[str]:
    return (f"{one.found}/{max(one.able, one.found)}",) if one.outcome else ()


def _said(translations: NullTranslations, known: Mapping[str, str], word: str) -> str:
    return translations.gettext(known[word]) if word in known else word


def _told(say: Callable[[Mapping[str, str], str], str], what: str) -> str:
    """A revision of an event, in the reader's words."""
    first = what.removeprefix("opened as ")
    if first != what:
        return say(words.REVISIONS, "opened as {state}").format(state=say(words.STATES, first))
    for start in ("also by ", "authority "):
        if what.startswith(start):
            return say(words.REVISIONS, f"{start}{{words}}").format(words=what.removeprefix(start))
    old, arrow, rest = what.partition(" → ")
    if not arrow:
        return say(words.REVISIONS, what)
    new, colon, why = rest.partition(": ")
    states = {"old": say(words.STATES, old), "new": say(words.STATES, new)}
    told = say(words.REVISIONS, "{old} → {new}").format(**states)
    return f"{told}{colon}{say(words.REASONS, why)}"


def day(at: float) -> str:
    """The day of an instant; a dash for none."""
    return datetime.fromtimestamp(at, UTC).date().isoformat() if at else "-"


def minute(at: float) -> str:
    """An instant to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "-"


def number(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")
