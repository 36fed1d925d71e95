"""Small charts of the HTML report, as inline SVG without script.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; every part has a sign
or a word besides. Texts in a chart come from here or are escaped.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType

from probe.analysis.shown_arms import shown_arms
from probe.categories import NAMES
from probe.escape import plain
from probe.i18n import _
from probe.model import Outcome, Record, Transfer
from probe.report.findings import TargetFinding
from probe.report.glossary import amount, counted

# Black text is readable on all of them.
COLOURS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.INTERCEPTED: "#cc79a7",
        Outcome.BLOCKED: "#e8743b",
        Outcome.THROTTLED: "#f0c132",
        Outcome.INCONCLUSIVE: "#dcdcdc",
        Outcome.REFUSED: "#7fc4ee",
        Outcome.DOWN: "#a3a3a3",
        Outcome.OK: "#29b58a",
    }
)
SIGNS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.INTERCEPTED: "!",
        Outcome.BLOCKED: "\N{MULTIPLICATION SIGN}",
        Outcome.THROTTLED: "~",
        Outcome.INCONCLUSIVE: "?",
        Outcome.REFUSED: "\N{EN DASH}",
        Outcome.DOWN: "↓",
        Outcome.OK: "✓",
    }
)
# A number is written into a part of a bar that has at least this share of it, per cent.
_ROOM = 7.0
_WIDE, _HIGH = 360, 190
_LEFT, _BOTTOM, _TOP, _RIGHT = 52, 22, 8, 8
_POINTS = 60


def sign(outcome: Outcome) -> str:
    """Return the sign of an outcome in its colour, as a picture that prints."""
    return (
        '<svg class="sign" viewBox="0 0 20 20" aria-hidden="true">'
        f'<rect width="20" height="20" rx="4" fill="{COLOURS[outcome]}"/>'
        f'<text x="10" y="15" text-anchor="middle">{SIGNS[outcome]}</text></svg>'
    )


def tally(counts: Mapping[Outcome, int]) -> str:
    """Return `2 blocked, 1 ok` in words."""
    return ", ".join(counted(counts[one], one) for one in COLOURS if counts.get(one))


def by_category(found: Sequence[TargetFinding[Record]]) -> str:
    """Return a bar of the outcomes of all sites, and one for each category if there are several."""
    groups: dict[str, Counter[Outcome]] = {}
    for one in found:
        groups.setdefault(one.category or "", Counter())[one.outcome] += 1
    rows = [_row(_("all sites"), Counter(one.outcome for one in found))]
    if len(groups) > 1:
        named = {_category(code): counts for code, counts in groups.items()}
        order = sorted(named, key=lambda name: (-named[name].total(), name))
        rows += [_row(name, named[name]) for name in order]
    return f'<div class="bars">{"".join(rows)}</div>'


def _category(code: str) -> str:
    return _(NAMES[code]) if code in NAMES else plain(code, 30) or _("no category")


def _row(name: str, counts: Counter[Outcome]) -> str:
    total, left, parts = counts.total(), 0.0, []
    for outcome, colour in COLOURS.items():
        if count := counts[outcome]:
            wide = 100 * count / total
            parts.append(
                f'<rect x="{left:.2f}%" width="{wide:.2f}%" height="24" fill="{colour}">'
                f"<title>{escape(counted(count, outcome))}</title></rect>"
            )
            if wide >= _ROOM:
                middle = left + wide / 2
                text = f"{SIGNS[outcome]} {count}"
                parts.append(f'<text x="{middle:.2f}%" y="17" text-anchor="middle">{text}</text>')
            left += wide
    said = escape(tally(counts))
    return (
        f'<p class="bar"><span>{escape(name)} <b>{total}</b></span>'
        f'<svg class="stack" role="img" aria-label="{said}">{"".join(parts)}</svg></p>'
    )


def transfer_curves(record: Record) -> str:
    """Return what was received over time, under the target's name and under the reference's."""
    transfers = [one for one in record.steps if isinstance(one, Transfer) and one.samples]
    tested, other = shown_arms(transfers)
    target = [one for one in transfers if one.arm in tested]
    reference = [one for one in transfers if one.arm in other]
    if not target or not reference:
        return ""
    longest = max(_at(one) for one in transfers) or 1.0
    most = max(one.samples[-1].wire for one in transfers) or 1
    scale = (longest, most)
    lines = [_curve(one, scale, "reference") for one in reference]
    lines += [_curve(one, scale, "target") for one in target]
    legend = "".join(
        _legend(kind, label, rates)
        for kind, label, rates in (
            ("target", _("this name"), target),
            ("reference", _("the reference"), reference),
        )
    )
    said = escape(_("Bytes received over time, under this name and under the reference"))
    return (
        f'<svg class="curves" viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{said}">'
        f"{_axes(longest, most)}{''.join(lines)}</svg>"
        f'<p class="legend">{legend}</p>'
    )


def _at(transfer: Transfer) -> float:
    return max(sample.at for sample in transfer.samples)


def _axes(longest: float, most: int) -> str:
    floor, end = _HIGH - _BOTTOM, _WIDE - _RIGHT
    seconds = _("{number} s").format(number=f"{longest:.1f}")
    return (
        f'<path class="axis" d="M{_LEFT} {_TOP}V{floor}H{end}"/>'
        f'<text x="{_LEFT - 4}" y="{_TOP + 10}" text-anchor="end">{escape(amount(most))}</text>'
        f'<text x="{_LEFT - 4}" y="{floor}" text-anchor="end">0</text>'
        f'<text x="{end}" y="{_HIGH - 6}" text-anchor="end">{escape(seconds)}</text>'
    )


def _curve(transfer: Transfer, scale: tuple[float, int], kind: str) -> str:
    samples = transfer.samples
    step = max(1, len(samples) // _POINTS)
    chosen = (*samples[::step], samples[-1])
    points = " ".join(_point(one.at, one.wire, scale) for one in chosen)
    return f'<polyline class="{kind}" points="{points}"/>'


def _point(at: float, wire: int, scale: tuple[float, int]) -> str:
    longest, most = scale
    x = _LEFT + max(at, 0.0) / longest * (_WIDE - _LEFT - _RIGHT)
    y = _HIGH - _BOTTOM - max(wire, 0) / most * (_HIGH - _BOTTOM - _TOP)
    return f"{x:.1f},{y:.1f}"


def _rate(transfer: Transfer) -> float:
    """Return the steady rate, else the average one, bytes per second."""
    return transfer.rate or transfer.samples[-1].wire / max(_at(transfer), 0.001)


def _legend(kind: str, label: str, transfers: Iterable[Transfer]) -> str:
    rates = sorted(filter(None, map(_rate, transfers)))
    middle = rates[len(rates) // 2] if rates else 0.0
    speed = _("{amount}/s").format(amount=amount(middle))
    return (
        f'<span><svg class="key" viewBox="0 0 28 10" aria-hidden="true"><path class="{kind}" '
        f'd="M1 5H27"/></svg>{escape(label)}: {escape(speed)}</span>'
    )
