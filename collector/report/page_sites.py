"""The parts of a report's page on sites: tables by category, and the matrix. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from collector.report.cells import PageTable, bracket, instant_cell, part_of
from collector.report.findings import OUTCOME_OF, PlaceFinding
from collector.report.gathered import FIRST_CATEGORIES, Gathered
from collector.report.texts import ReportTexts

# The page has at most so many rows; the table has all.
MOST_UNCONFIRMED, MOST_PLACES = 100, 500


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
    """A row for each site, and for networks on which the same was found of it."""
    groups: dict[tuple[object, ...], list[PlaceFinding]] = {}
    for one in places:
        key = (one.target, one.kind, one.state, frozenset(one.mechanisms))
        groups.setdefault(key, []).append(one)
    rows = [_grouped(found, of, texts) for found in groups.values()]
    return PageTable(_heads(texts), rows, numbers=(4,))


def _heads(texts: ReportTexts) -> list[str]:
    both = f"{texts('measurements')}, {texts('probes')}"
    return [texts("site"), texts("how"), texts("since"), texts("until"), both]


def _grouped(found: Sequence[PlaceFinding], of: Gathered, texts: ReportTexts) -> list[object]:
    one = found[0]
    alone = len(found) == 1
    where = of.networks.label(one.asn) if alone else ", ".join(f"AS{p.asn}" for p in found)
    ended = [(p.ended_after, p.ended_by) for p in found if p.ended_by]
    return [
        [one.target, where],
        [*_how(one, texts), *one.mechanisms],
        _when([(p.began_after, p.began_by) for p in found if p.began_by], texts),
        _when(ended, texts) or (texts("lasts") if one.events else ""),
        [
            _sum(found, "interfered", "conclusive", texts),
            _sum(found, "probes_interfered", "probes", texts),
        ],
    ]


def _how(one: PlaceFinding, texts: ReportTexts) -> tuple[str, str]:
    return texts(f"kind_{one.kind}"), texts(f"state_{one.state}")


def _when(brackets: Sequence[tuple[str, str]], texts: ReportTexts) -> list[str]:
    """The first change of some networks, and when the last of them had followed."""
    if not brackets:
        return []
    first = min(brackets, key=lambda one: one[1])
    last = max(one[1] for one in brackets)
    told = bracket(*first, texts)
    return [*told, texts("last_by", by=instant_cell(last))] if last[:13] > first[1][:13] else told


def _sum(found: Sequence[PlaceFinding], part: str, whole: str, texts: ReportTexts) -> str:
    some, every = (sum(getattr(one, name) for one in found) for name in (part, whole))
    return part_of(some, every, texts)


def each(of: Gathered, texts: ReportTexts) -> Mapping[str, object]:
    """Every site on every network with interference."""
    rows = [
        [
            [one.target, of.networks.label(one.asn)],
            [*_how(one, texts), *_mechanisms(one)],
            bracket(one.began_after, one.began_by, texts) if one.began_by else "",
            _until(one, texts),
            [
                part_of(one.interfered, one.conclusive, texts),
                part_of(one.probes_interfered, one.probes, texts),
            ],
        ]
        for one in of.places[:MOST_PLACES]
    ]
    table = PageTable(_heads(texts), rows, numbers=(4,))
    return {"each": table, "each_more": len(of.places[MOST_PLACES:])}


def _mechanisms(one: PlaceFinding) -> list[str]:
    """The mechanisms; with their numbers where there are several."""
    if len(one.mechanisms) < 2:
        return list(one.mechanisms)
    times = "\N{MULTIPLICATION SIGN}"
    return [f"{word} {n}{times}" if n else word for word, n in one.mechanisms.items()]


def _until(one: PlaceFinding, texts: ReportTexts) -> list[str] | str:
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
        words = ", ".join(_how(one, texts))
        if one.state in {"confirmed", "ended"}:
            return outcome, letter, words
        return f"{outcome} weak", letter.lower(), words

    rows = [(site, [cell(site, asn) for asn in asns]) for site in sites]
    key = "; ".join(of.networks.label(asn) for asn in asns)
    return {"heads": [str(asn) for asn in asns], "rows": rows, "key": key}


def unconfirmed(of: Gathered, texts: ReportTexts) -> Mapping[str, object]:
    found = [one for one in of.places if one.state in {"suspected", "measured"}]
    found.sort(key=lambda one: (one.state != "suspected", -one.interfered, one.target, one.asn))
    table = _places(found[:MOST_UNCONFIRMED], of, texts)
    return {"unconfirmed": table, "unconfirmed_more": len(found[MOST_UNCONFIRMED:])}
