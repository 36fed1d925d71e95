"""What a censor inspects in a ClientHello: single segments, reassembled ones, or its extensions."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import EchFilter, LabSite, Scenario, SniFilter
from probe.model import Mechanism, Outcome

_ONLY = ("hello",)

SCENARIOS: tuple[Scenario, ...] = (
    entry(
        "hello.whole_segments",
        LabSite("cut-in-two.org"),
        [SniFilter("cut-in-two.org", "drop")],
        Outcome.BLOCKED,
        "The censor matches the name in single packets, so a hello split inside it passes.",
        mechanisms=[Mechanism.TLS_TIMEOUT],
        experiments=_ONLY,
    ),
    entry(
        "hello.put_together",
        LabSite("read-in-full.org"),
        [SniFilter("read-in-full.org", "fin")],
        Outcome.BLOCKED,
        "The censor reassembles segments first, so no hello with the name passes.",
        mechanisms=[Mechanism.TLS_EOF],
        experiments=_ONLY,
    ),
    entry(
        "hello.ech_shape",
        LabSite("sealed-envelope.org"),
        [EchFilter("sealed-envelope.org")],
        Outcome.OK,
        "Hellos with an ECH extension are dropped for any name; the default one is answered.",
        experiments=_ONLY,
    ),
    entry(
        "hello.fine",
        LabSite("open-envelope.org"),
        [],
        Outcome.OK,
        "Every hello is answered.",
        experiments=_ONLY,
    ),
    entry(
        "hello.old_server",
        LabSite("old-envelope.org", server="tls12"),
        [],
        Outcome.OK,
        "The server speaks TLS 1.2 only, so one hello is refused for every name.",
        experiments=_ONLY,
    ),
    entry(
        "hello.dead_server",
        LabSite("no-envelope.org", server="overloaded"),
        [],
        Outcome.DOWN,
        "The server answers no hello for any name, here and for the control.",
        experiments=_ONLY,
    ),
)
