"""Rules on traces: where on the path a name is acted upon. They never conclude `ok`."""

from collections.abc import Iterator

from probe.analysis import trace_analysis
from probe.analysis.evidence import Evidence
from probe.model import Mechanism, Outcome, Tls
from probe.rule import Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = ("trace",)

_MECHANISMS: dict[tuple[trace_analysis.Layer, trace_analysis.HopResult], Mechanism] = {
    ("tls", trace_analysis.HopResult.RESET): Mechanism.TLS_RESET,
    ("tls", trace_analysis.HopResult.SILENT): Mechanism.TLS_TIMEOUT,
    ("tls", trace_analysis.HopResult.CLOSED): Mechanism.TLS_EOF,
    ("http", trace_analysis.HopResult.RESET): Mechanism.HTTP_RESET,
    ("http", trace_analysis.HopResult.SILENT): Mechanism.HTTP_TIMEOUT,
    ("http", trace_analysis.HopResult.CLOSED): Mechanism.HTTP_EOF,
    ("http", trace_analysis.HopResult.ANSWERED): Mechanism.HTTP_INJECTED,
    ("dns", trace_analysis.HopResult.ANSWERED): Mechanism.DNS_INJECTED,
    ("dns", trace_analysis.HopResult.SILENT): Mechanism.DNS_TIMEOUT,
    ("dns", trace_analysis.HopResult.RESET): Mechanism.DNS_REFUSED,
    ("dns", trace_analysis.HopResult.CLOSED): Mechanism.DNS_REFUSED,
}


def findings(e: Evidence) -> Iterator[trace_analysis.TraceFinding]:
    """What the trace found, layer by layer."""
    for layer in trace_analysis.LAYERS:
        found = trace_analysis.locate(e.steps, layer)
        if found is not None:
            yield found


@rule(
    "path.acted_upon_on_the_way",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless name crosses the same routers",
        InnocentExplanation.SERVER: "the packets did not reach the server",
        InnocentExplanation.MEANS: "both names use the same limited packets",
        InnocentExplanation.CHANCE: "several attempts at each distance",
    },
)
def acted_upon_on_the_way(e: Evidence) -> Finding | None:
    """This name, unlike a harmless one, triggers a middlebox before its packets reach the site."""
    early = [f for f in findings(e) if f.trigger == "sent"]
    if not early:
        return None
    where = " ".join(f"{f.layer.upper()}: {_location(f)}." for f in early)
    return Finding(
        tuple(step for f in early for step in f.steps),
        0.95,
        tuple(_mechanism(f) for f in early),
        f"A middlebox acts upon this name before its packets reach the server. {where}",
    )


def _mechanism(found: trace_analysis.TraceFinding) -> Mechanism:
    """An answer to a ClientHello is a forged chain or an alert."""
    if (found.layer, found.result) != ("tls", trace_analysis.HopResult.ANSWERED):
        return _MECHANISMS[found.layer, found.result]
    chains = any(isinstance(step, Tls) and step.chain for step in found.steps)
    return Mechanism.TLS_MITM if chains else Mechanism.TLS_ALERT


def _location(found: trace_analysis.TraceFinding) -> str:
    """What the packets meet, and between which hops, for a sentence."""
    where = (
        f"{found.result} between hop {found.after} and hop {found.by}"
        if found.after
        else f"{found.result} before hop {found.by}"
    )
    return where + {"in": ", in-path", "on": ", on-path", None: ""}[found.position]


@rule("path.differs_at_the_server", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def differs_at_the_server(e: Evidence) -> Finding | None:
    """The results of the two names differ only where the server itself could be the reason."""
    late = [f for f in findings(e) if f.trigger is None]
    return Finding(tuple(step for f in late for step in f.steps), 0.5) if late else None


@rule("path.both_names_fare_alike", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def both_names_fare_alike(e: Evidence) -> Finding | None:
    """Both names had the same result at every hop; the `web` experiment tests the site itself."""
    sent = [
        layer
        for layer in trace_analysis.LAYERS
        if any(h.target for h in trace_analysis.hops(e.steps, layer))
    ]
    return Finding(e.steps[-1:], 0.5) if sent and not list(findings(e)) else None


@rule("path.no_way_to_compare", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_way_to_compare(e: Evidence) -> Finding | None:
    """The harmless name was not answered either, so a comparison is missing."""
    sent = any(
        h.target for layer in trace_analysis.LAYERS for h in trace_analysis.hops(e.steps, layer)
    )
    return None if sent else Finding(e.steps[-1:], 0.5)
