"""Rules on pages that begin and freeze at one size, for this site only.

Known devices let the first 16 to 64 KiB of a connection through and drop what follows. The page of
a server that hangs looks the same, so the page must have come whole from the same address by
another way: for a control, under another name in the ClientHello, or over the other scheme.
"""

from collections.abc import Iterator

from probe.analysis.attempts import by_address
from probe.analysis.evidence import Evidence
from probe.analysis.slowness import frozen_alike, is_longer
from probe.compare import host_of
from probe.model import Http, Mechanism, Outcome, Role
from probe.rule import Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = ("web",)


def frozen_pages(e: Evidence) -> Iterator[list[Http]]:
    """For each address: the attempts at the last hop, if all began and froze at about one size."""
    for _, attempts in by_address(e.pages(e.end)):
        if frozen_alike(attempts):
            yield attempts


@rule(
    "frozen.here_only",
    Tier.ACCUSED,
    Outcome.THROTTLED,
    Mechanism.THROTTLE_FROZEN,
    excludes={
        InnocentExplanation.SERVER: "a control gets more of the page from the same address",
        InnocentExplanation.MEANS: "large packets of the page arrive",
        InnocentExplanation.CHANCE: "at least two attempts that freeze at one size",
    },
)
def here_only(e: Evidence) -> Finding | None:
    """The page freezes here at one size every time, and a control gets more of it."""
    for attempts in frozen_pages(e):
        there = [p for p in e.control_pages(e.end) if p.address == attempts[-1].address]
        if any(is_longer(p, attempts) for p in there) and e.alive_around(attempts[-1]):
            return Finding(tuple(attempts), 0.85 * e.control_weight)
    return None


@rule(
    "frozen.this_name_only",
    Tier.ACCUSED,
    Outcome.THROTTLED,
    Mechanism.THROTTLE_FROZEN,
    excludes={
        InnocentExplanation.LINE: "more bytes come from the same address under another name",
        InnocentExplanation.SERVER: "the same page of this host comes whole by another way",
        InnocentExplanation.MEANS: "large packets of the page arrive",
        InnocentExplanation.CHANCE: "at least two attempts that freeze at one size",
    },
)
def this_name_only(e: Evidence) -> Finding | None:
    """The page freezes at one size, and comes whole from this address by another way."""
    for attempts in frozen_pages(e):
        last = attempts[-1]
        whole = [p for p in _other_ways(e, last) if is_longer(p, attempts)]
        if whole and e.alive_around(last):
            return Finding((*attempts, *whole), 0.88)
    return None


def _other_ways(e: Evidence, frozen: Http) -> list[Http]:
    """Pages of the same host from the same address under another name or another scheme."""
    here = [*e.harmless(Http, hop=frozen.hop), *e.all(Http, hop=frozen.hop)]
    same = [p for p in here if p.address == frozen.address and _host(p) == _host(frozen)]
    return [p for p in same if p.role is Role.HARMLESS or (p.proven and p.url != frozen.url)]


def _host(page: Http) -> str:
    return page.host.partition(":")[0] or host_of(page.url)
