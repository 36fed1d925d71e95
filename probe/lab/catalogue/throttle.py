"""Selective throttling, and a server that is merely slow, on a line with a round trip."""

from probe.lab.catalogue.entry import entry
from probe.lab.catalogue.lines import HOME
from probe.lab.scenario import LabSite, Scenario, Throttle
from probe.model import Mechanism, Outcome

_BOTH = ("web", "throttle")


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
)
