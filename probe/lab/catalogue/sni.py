"""The experiment `sni` shows the trigger without a control measurement."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import ControlState, Interference, LabSite, Scenario, ServerKind, SniFilter
from probe.model import Mechanism, Outcome


def _sni(
    name: str,
    host: str,
    interferences: list[Interference],
    outcome: Outcome,
    why: str,
    *mechanisms: Mechanism,
    server: ServerKind = "up",
) -> Scenario:
    return entry(
        f"sni.{name}",
        LabSite(host, server=server),
        interferences,
        outcome,
        why,
        mechanisms=mechanisms,
        control=ControlState.NONE,
        experiments=("sni",),
    )


SCENARIOS = (
    _sni("fine", "any-name-welcome.org", [], Outcome.OK, "Both names are answered in turn."),
    _sni(
        "drop",
        "unspoken-name.org",
        [SniFilter("unspoken-name.org", "drop")],
        Outcome.BLOCKED,
        "Only this name gets no answer; the next one is answered.",
        Mechanism.TLS_TIMEOUT,
    ),
    _sni(
        "reset",
        "crossed-out-name.org",
        [SniFilter("crossed-out-name.org", "reset")],
        Outcome.BLOCKED,
        "Only this name is reset.",
        Mechanism.TLS_RESET,
    ),
    _sni(
        "fin",
        "shown-out-name.org",
        [SniFilter("shown-out-name.org", "fin")],
        Outcome.BLOCKED,
        "Only for this name the connection is closed.",
        Mechanism.TLS_EOF,
    ),
    _sni(
        "mute_server",
        "no-name-answered.org",
        [],
        Outcome.INCONCLUSIVE,
        "No name is answered; a failing harmless name proves nothing.",
        server="silent",
    ),
)
