"""A short form for most scenarios: one site, one URL, one verdict."""

from collections.abc import Sequence

from probe.lab.scenario import WIRE, ControlState, Expect, Interference, LabSite, LineSpec, Scenario
from probe.model import Mechanism, Outcome


def entry(
    name: str,
    site: LabSite,
    interferences: Sequence[Interference],
    outcome: Outcome,
    why: str,
    *,
    mechanisms: Sequence[Mechanism] = (),
    any_of: Sequence[Mechanism] = (),
    also: Sequence[Outcome | Mechanism] = (),
    url: str | None = None,
    others: Sequence[LabSite] = (),
    line: LineSpec = WIRE,
    control: ControlState = ControlState.FRESH,
    experiments: Sequence[str] = ("web",),
    loopback: bool = False,
) -> Scenario:
    """A scenario with one URL, by default the site's front page over TLS."""
    expected = Expect(
        url or f"https://{site.name}/",
        outcome,
        why,
        mechanisms=tuple(mechanisms),
        any_of=tuple(any_of),
        also_acceptable=tuple(also),
    )
    return Scenario(
        name,
        (site, *others),
        (expected,),
        censor=tuple(interferences),
        line=line,
        control=control,
        experiments=tuple(experiments),
        loopback=loopback,
    )
