"""The parts of a report's page on sites: tables by category, and the matrix. Pure."""

from collections.abc import Iterable, Mapping

from collector.report.cells import PageTable, bracket, part_of
from collector.report.findings import OUTCOME_OF, PlaceFinding
from collector.report.gathered import FIRST_CATEGORIES, Gathered
from collector.report.texts import ReportTexts

# The page has at most so many unconfirmed rows; the table has all.
MOST_UNCONFIRMED = 100


def categories(of: Gathered, texts: ReportTexts) -> list[Mapping[str, object]]:
    """A part for each category; of those after the first, only where something was confirmed."""
    measured: dict[str, set[str]] = {}
    for row in of.sites.by_name():
        measured.setdefault(row["category"], set()).add(row["target"])
    found: list[Mapping[str, object]] = []
    for code in of.categories():
        places = [one for one in of.confirmed if one.category == code]
        if not places and code not in {*FIRST_CATEGORIES, *of.asked.categories}:
            continue
        sites, confirmed = len(measured.get(code, ())), len({one.target for one in places})
        if places:
            counts = texts("category_counts", sites=sites, confirmed=confirmed)
        else:
            key = "category_none" if sites else "category_unmeasured"
            counts = texts(key, sites=sites) if sites else texts(key)
        name = texts.category(code) if code else texts("other_categories")
        found.append({"name": name, "counts": counts, "table": _places(places, of, texts)})
    return found


def _places(places: Iterable[PlaceFinding], of: Gathered, texts: ReportTexts) -> PageTable:
    heads = ("site", "network", "how", "mechanism", "since", "until", "measurements", "probes")
    rows = [
        [
            one.target,
            of.networks.label(one.asn),
            [texts(f"kind_{one.kind}"), texts(f"state_{one.state}")],
            [_counted(word, n) for word, n in one.mechanisms.items()],
            bracket(one.began_after, one.began_by, texts) if one.began_by else "",
            _until(one, texts),
            part_of(one.interfered, one.conclusive, texts),
            part_of(one.probes_interfered, one.probes, texts),
        ]
        for one in places
    ]
    return PageTable([texts(head) for head in heads], rows, numbers=(6, 7))


def _counted(word: str, n: int) -> str:
    return f"{word} {n}\N{MULTIPLICATION SIGN}" if n else word


def _until(one: PlaceFinding, texts: ReportTexts) -> str:
    if one.ended_by:
        return bracket(one.ended_after, one.ended_by, texts)
    return texts("lasts") if one.events else ""


def matrix(of: Gathered, texts: ReportTexts) -> Mapping[str, object]:
    """Sites with confirmed interference beside networks."""
    places = {(one.target, one.asn): one for one in of.places}
    fine = {(row["target"], row["asn"]) for row in of.sites.by_name() if row["conclusive"]}
    order = {code: number for number, code in enumerate(of.categories())}
    sites = [
        site for _, site in sorted({(order[one.category], one.target) for one in of.confirmed})
    ]
    asns = of.asns

    def cell(site: str, asn: int) -> tuple[str, str, str]:
        one = places.get((site, asn))
        if one is None:
            return ("fine", "·", "") if (site, asn) in fine else ("nothing", "", "")
        outcome = OUTCOME_OF[one.kind]
        letter = {"blocked": "B", "intercepted": "I", "throttled": "T"}[outcome]
        words = f"{texts(f'kind_{one.kind}')}, {texts(f'state_{one.state}')}"
        if one.state in {"confirmed", "ended"}:
            return outcome, letter, words
        return f"{outcome} weak", letter.lower(), words

    rows = [(site, [cell(site, asn) for asn in asns]) for site in sites]
    return {"heads": [f"AS{asn}" for asn in asns], "rows": rows}


def unconfirmed(of: Gathered, texts: ReportTexts) -> Mapping[str, object]:
    found = [one for one in of.places if one.state in {"suspected", "measured"}]
    found.sort(key=lambda one: (one.state != "suspected", -one.interfered, one.target, one.asn))
    table = _places(found[:MOST_UNCONFIRMED], of, texts)
    return {"unconfirmed": table, "unconfirmed_more": len(found[MOST_UNCONFIRMED:])}
