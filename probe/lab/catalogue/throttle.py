"""Selective throttling, and a server that is merely slow, on a line with a round trip."""

from probe.lab.catalogue.entry import entry
from probe.lab.catalogue.lines import HOME
from probe.lab.scenario import ControlState, HttpFilter, LabSite, Page, Scenario, Throttle
from probe.model import Mechanism, Outcome

_BOTH = ("web", "throttle")


def _frozen(name: str, host: str, kept: int, *, control: ControlState) -> Scenario:
    """A large page in small TLS records that freezes after some bytes; `web` alone sees it."""
    return entry(
        name,
        LabSite(host, page=Page("large"), server="small_records"),
        [Throttle(host, "freeze", kept)],
        Outcome.THROTTLED,
        f"After {kept} bytes the connection is frozen, for this name only.",
        any_of=[Mechanism.THROTTLE_FROZEN, Mechanism.HTTP_TIMEOUT],
        also=[Outcome.INCONCLUSIVE],
        line=HOME,
        control=control,
    )


def _frozen_sizes() -> tuple[Scenario, ...]:
    sizes = (16_384, 23_552, 32_768, 65_536)
    return tuple(
        _frozen(
            f"throttle.frozen_{size // 1024}_{state}", f"{state}-{size}.org", size, control=state
        )
        for size in sizes
        for state in (ControlState.FRESH, ControlState.NONE)
    )


def _frozen_plain(control: ControlState) -> Scenario:
    return entry(
        f"throttle.frozen_plain_{control}",
        LabSite(f"{control}-paper.org", page=Page("large"), plain="same"),
        [HttpFilter(f"{control}-paper.org", "freeze")],
        Outcome.THROTTLED,
        "After 16 KiB the plain page is frozen, for this host only.",
        any_of=[Mechanism.THROTTLE_FROZEN, Mechanism.HTTP_TIMEOUT],
        also=[Outcome.INCONCLUSIVE, Outcome.BLOCKED],
        url=f"http://{control}-paper.org/",
        line=HOME,
        control=control,
    )


def _slowed(name: str, interference: Throttle, mechanism: Mechanism, why: str) -> Scenario:
    return entry(
        name,
        LabSite(interference.name),
        [interference],
        Outcome.THROTTLED,
        why,
        any_of=[mechanism, Mechanism.THROTTLE_SLOW],
        experiments=_BOTH,
        line=HOME,
    )


SCENARIOS = (
    _slowed(
        "throttle.policed",
        Throttle("treacle-tv.org", "police", 16_000),
        Mechanism.THROTTLE_POLICED,
        "Packets above 128 kbit/s are dropped on connections that offered this name.",
    ),
    _slowed(
        "throttle.shaped",
        Throttle("molasses-media.org", "shape", 16_000),
        Mechanism.THROTTLE_SHAPED,
        "Connections that offered this name wait in a queue of 128 kbit/s.",
    ),
    _slowed(
        "throttle.policed_512",
        Throttle("half-speed.org", "police", 64_000),
        Mechanism.THROTTLE_POLICED,
        "Packets above 512 kbit/s are dropped on connections that offered this name.",
    ),
    entry(
        "throttle.frozen",
        LabSite("sixteen-kilobytes.org"),
        [Throttle("sixteen-kilobytes.org", "freeze", 16_384)],
        Outcome.THROTTLED,
        "After 16 KiB the connection is frozen, for this name only.",
        mechanisms=[Mechanism.THROTTLE_FROZEN],
        also=[Outcome.INCONCLUSIVE],
        experiments=_BOTH,
        line=HOME,
    ),
    entry(
        "throttle.innocent_slow_server",
        LabSite("tired-server.org", server="slow"),
        [],
        Outcome.OK,
        "The server is slow for every client.",
        experiments=_BOTH,
        line=HOME,
    ),
    *_frozen_sizes(),
    _frozen_plain(ControlState.FRESH),
    _frozen_plain(ControlState.NONE),
)
