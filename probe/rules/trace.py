"""What packets that go so far only say of where a name is acted upon. It never acquits."""

from collections.abc import Iterator

from probe.analysis import trace_analysis
from probe.analysis.evidence import Evidence
from probe.model import Mechanism, Outcome, Tls
from probe.rule import Finding, Rule, Tier, rule

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


def findings(e: Evidence) -> Iterator[trace_analysis.Finding]:
    """What was found, layer by layer."""
    for layer in trace_analysis.LAYERS:
        found = trace_analysis.locate(e.steps, layer)
        if found is not None:
            yield found


@rule("path.acted_upon_on_the_way", Tier.ACCUSED, Outcome.BLOCKED)
def acted_upon_on_the_way(e: Evidence) -> Finding | None:
    """This name is acted upon before its packets reach the server; a harmless one is not."""
    early = [f for f in findings(e) if f.trigger == "sent"]
    if not early:
        return None
    told = " ".join(f"{f.layer.upper()}: {place(f)}." for f in early)
    return Finding(
        tuple(step for f in early for step in f.steps),
        0.95,
        tuple(_mechanism(f) for f in early),
        f"This name is acted upon before its packets reach the server. {told}",
    )


def _mechanism(found: trace_analysis.Finding) -> Mechanism:
    """An answer to a ClientHello is a forged chain or an alert."""
    if (found.layer, found.fate) != ("tls", trace_analysis.HopResult.ANSWERED):
        return _MECHANISMS[found.layer, found.fate]
    chains = any(isinstance(step, Tls) and step.chain for step in found.steps)
    return Mechanism.TLS_MITM if chains else Mechanism.TLS_ALERT


def place(found: trace_analysis.Finding) -> str:
    """Where, and how, in a few words."""
    between = (
        f"between hop {found.after} and hop {found.by}"
        if found.after
        else (f"before hop {found.by}")
    )
    stands = {"in": ", in the path", "on": ", on the path", None: ""}[found.stands]
    return f"{found.fate} {between}{stands}"


@rule("path.differs_at_the_server", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def differs_at_the_server(e: Evidence) -> Finding | None:
    """The names fare differently only where the server itself could be the reason."""
    late = [f for f in findings(e) if f.trigger is None]
    return Finding(tuple(step for f in late for step in f.steps), 0.5) if late else None


@rule("path.both_names_fare_alike", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def both_names_fare_alike(e: Evidence) -> Finding | None:
    """Wherever both names were sent they fared alike; `web` says whether the site opens."""
    sent = [
        layer
        for layer in trace_analysis.LAYERS
        if any(h.target for h in trace_analysis.hops(e.steps, layer))
    ]
    return Finding(e.steps[-1:], 0.5) if sent and not list(findings(e)) else None


@rule("path.no_way_to_compare", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_way_to_compare(e: Evidence) -> Finding | None:
    """The harmless name was not answered there either, so that there is nothing to compare with."""
    sent = any(
        h.target for layer in trace_analysis.LAYERS for h in trace_analysis.hops(e.steps, layer)
    )
    return None if sent else Finding(e.steps[-1:], 0.5)


RULES: tuple[Rule, ...] = (
    acted_upon_on_the_way,
    differs_at_the_server,
    both_names_fare_alike,
    no_way_to_compare,
)
