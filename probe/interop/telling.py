"""A comparison of conclusions as text: the table, what differs and why, whose keys were seen."""

from collections.abc import Iterator

from probe.escape import plain
from probe.i18n import _, ngettext, reason
from probe.interop.comparison import Comparison


def text(compared: Comparison, *, of_ooni: bool) -> Iterator[str]:
    """The table, what differs and why, and whose keys were seen."""
    whose = _("OONI says") if of_ooni else _("it said")
    yield f"{whose:<14}  {_('we say'):<14}  {_('measurements')}"
    for said, outcome, count in compared.table():
        yield f"{said:<14}  {outcome:<14}  {count:>12}"
    differing = compared.differences()
    if differing:
        yield ""
        yield _("Where the two differ, and why:")
    for one in differing:
        yield f"{one.said} → {one.outcome}: {one.count} ({one.rule})"
        yield f"    {reason(one.reason)}"
        yield "    " + _("first: {input} in {place}").format(
            input=plain(one.input), place=plain(one.place)
        )
    yield from _authorities(compared)
    yield from _beside(compared, of_ooni=of_ooni)


def _authorities(compared: Comparison) -> Iterator[str]:
    if compared.authorities:
        yield ""
        yield _("Known interception authorities whose signatures verify:")
    for id_, seen in sorted(compared.authorities.items()):
        what = _("{count} measurements, {names} names, {networks} networks, {first} to {last}")
        told = what.format(
            count=seen.measurements,
            names=len(seen.names),
            networks=len(seen.networks),
            first=seen.first[:10],
            last=seen.last[:10],
        )
        yield f"{id_}: {told}"


def _beside(compared: Comparison, *, of_ooni: bool) -> Iterator[str]:
    yield ""
    judged = ngettext(
        "{number} measurement judged", "{number} measurements judged", compared.judged
    )
    yield judged.format(number=compared.judged)
    if compared.left_out:
        every = ", ".join(f"{name} {count}" for name, count in compared.left_out.most_common())
        yield _("left out, without a counterpart here: {every}").format(every=every)
    if compared.refused:
        yield _("refused: {number}").format(number=compared.refused)
    if of_ooni:
        yield _("OONI's data is published under CC BY-NC-SA 4.0; so is what contains it.")
