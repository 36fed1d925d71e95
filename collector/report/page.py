"""The page of a report: one HTML document with its style and charts in it. Pure."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from collector.report import page_evidence, page_lines, page_sites
from collector.report.asked import day_text
from collector.report.cells import (
    PageTable,
    number,
)
from collector.report.drawings import Drawings
from collector.report.gathered import Gathered
from collector.report.tables import period
from collector.report.texts import ReportTexts
from probe import __version__
from probe.i18n import reason
from probe.rules import RULES

# What the page has at most; tables and charts/ have everything.
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:\N{NO-BREAK SPACE}\d\d:\d\d)?")
MOST_CALENDARS, MOST_RATES, MOST_RULES = 60, 24, 40


def page(of: Gathered, drawings: Drawings, texts: ReportTexts, *, sha256: str) -> str:
    """The whole document."""
    first, last = period(of.asked)
    before = (day_text(of.asked.previous), day_text(of.asked.since - 86_400))
    return _template().render(
        t=texts,
        version=__version__,
        title=title(of, texts),
        period=texts("title_period", first=first, last=last),
        lab=of.lab,
        retired=_retired(of, texts),
        numbers=_numbers(of, texts),
        compared=texts("compared_with", days=of.asked.days, first=before[0], last=before[1]),
        drawings=drawings,
        most_calendars=MOST_CALENDARS,
        calendars_more=len(drawings.calendars[MOST_CALENDARS:]) + len(drawings.steady),
        most_rates=MOST_RATES,
        categories=page_sites.categories(of, texts),
        matrix=page_sites.matrix(of, texts),
        **page_sites.unconfirmed(of, texts),
        **page_sites.each(of, texts),
        interceptions=[page_evidence.interception(one, of, texts) for one in of.interceptions],
        days_cut=of.days_cut,
        throttling=page_evidence.throttling(of, texts),
        outages=page_lines.outages(of, texts),
        silences=page_lines.silences(of, texts),
        changes=page_evidence.changes(of.changes, of, texts),
        outcomes=page_evidence.outcomes(of, texts),
        least=of.asked.least,
        coverage=page_lines.coverage(of, texts),
        **page_lines.heard(of, texts),
        notes=_notes(of, texts),
        made_by=_made_by(of, texts),
        **_rules(of, texts),
        files=_files(of, texts),
        sha256=sha256,
        citation=citation(of, texts, sha256=sha256),
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("collector.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    file = resources.files("collector.report") / "templates" / "style.css"
    # Both are made by this program, and their texts are escaped already.
    made.globals["style"] = Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - see above
    made.filters["inline"] = Markup
    made.filters["dated"] = _dated
    return made


def _dated(text: object) -> Markup:
    """A text whose dates are not broken over two lines; its hyphens stay hyphens."""
    return Markup(_DATE.sub(r"<time>\g<0></time>", str(escape(text))))  # noqa: S704 - it is escaped


def _template() -> Template:
    return _environment().get_template("report.html")


def title(of: Gathered, texts: ReportTexts) -> str:
    """What the report is about."""
    return texts("title", country=texts.country(of.asked.country))


def citation(of: Gathered, texts: ReportTexts, *, sha256: str) -> str:
    """How to cite it."""
    first, last = period(of.asked)
    return texts(
        "citation",
        country=texts.country(of.asked.country),
        first=first,
        last=last,
        rulesets=", ".join(of.rulesets) or "-",
        version=__version__,
        sha256=sha256,
    )


def _retired(of: Gathered, texts: ReportTexts) -> str:
    kept = of.now["records"]
    if of.counted is None or kept >= 0.95 * of.counted:
        return ""
    return texts("retired", counted=number(of.counted), kept=number(kept))


def _numbers(of: Gathered, texts: ReportTexts) -> list[tuple[str, str, str | None]]:
    def both(word: str, column: str) -> tuple[str, str, str]:
        old = texts("before", value=number(of.before[column]))
        return texts(word), number(of.now[column]), old

    return [
        both("summary_measurements", "counted"),
        both("summary_probes", "probes"),
        both("summary_networks", "networks"),
        both("summary_sites", "sites"),
        (texts("summary_confirmed"), number(len(of.confirmed_sites)), None),
    ]


def _notes(of: Gathered, texts: ReportTexts) -> list[str]:
    words = ("not_counted", "coarse")
    return [texts(word, number=number(of.now[word])) for word in words if of.now[word]]


def _made_by(of: Gathered, texts: ReportTexts) -> str:
    return texts(
        "method_rulesets",
        rulesets=", ".join(of.rulesets) or "-",
        versions=", ".join(of.versions) or "-",
        version=__version__,
    )


def _rules(of: Gathered, texts: ReportTexts) -> Mapping[str, object]:
    """The rules that decided most, with their sentences in the report's language."""
    known = {rule.id: rule for rule in RULES}
    every = of.rules.by_name()
    shown = every[:MOST_RULES]
    rows = []
    for one in shown:
        rule = known.get(one["rule"])
        rows.append(
            [
                one["rule"],
                texts.outcome(one["outcome"]),
                reason(rule.sentence) if rule else "",
                ", ".join(rule.excludes) if rule else "",
                number(one["measurements"]),
            ]
        )
    heads = [texts(head) for head in ("rule", "outcome", "says", "excludes", "measurements")]
    rest = every[MOST_RULES:]
    more = ""
    if rest:
        measurements = number(sum(one["measurements"] for one in rest))
        more = texts("rules_more", number=len(rest), measurements=measurements)
    return {"rules": PageTable(heads, rows, numbers=(4,)), "rules_more": more}


def _files(of: Gathered, texts: ReportTexts) -> PageTable:
    files: Sequence[tuple[str, str]] = (
        ("data.parquet", "file_data"),
        ("previous.parquet", "file_previous"),
        ("tables/", "file_tables"),
        ("charts/", "file_charts"),
        *((("certificates/", "file_certificates"),) if of.interceptions else ()),
        ("report.ipynb", "file_notebook"),
        ("manifest.json", "file_manifest"),
    )
    return PageTable(
        [texts("file"), texts("contains")], [[name, texts(what)] for name, what in files]
    )
