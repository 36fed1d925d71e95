"""What packets that go so far only say of where a name is acted upon. It never acquits."""

from collections.abc import Iterator

from probe.model import Mechanism, Outcome, Tls
from probe.reading import path
from probe.reading.evidence import Evidence
from probe.rule import Proof, Rule, Tier, rule

EXPERIMENTS = ("trace",)

_MECHANISMS: dict[tuple[path.Layer, path.Fate], Mechanism] = {
    ("tls", path.Fate.RESET): Mechanism.TLS_RESET,
    ("tls", path.Fate.SILENT): Mechanism.TLS_TIMEOUT,
    ("tls", path.Fate.CLOSED): Mechanism.TLS_EOF,
    ("http", path.Fate.RESET): Mechanism.HTTP_RESET,
    ("http", path.Fate.SILENT): Mechanism.HTTP_TIMEOUT,
    ("http", path.Fate.CLOSED): Mechanism.HTTP_EOF,
    ("http", path.Fate.ANSWERED): Mechanism.HTTP_INJECTED,
    ("dns", path.Fate.ANSWERED): Mechanism.DNS_INJECTED,
    ("dns", path.Fate.SILENT): Mechanism.DNS_TIMEOUT,
    ("dns", path.Fate.RESET): Mechanism.DNS_REFUSED,
    ("dns", path.Fate.CLOSED): Mechanism.DNS_REFUSED,
}


def findings(e: Evidence) -> Iterator[path.Finding]:
    """What was found, layer by layer."""
    for layer in path.LAYERS:
        found = path.locate(e.steps, layer)
        if found is not None:
            yield found


@rule("path.acted_upon_on_the_way", Tier.ACCUSED, Outcome.BLOCKED)
def acted_upon_on_the_way(e: Evidence) -> Proof | None:
    """This name is acted upon before its packets reach the server; a harmless one is not."""
    early = [f for f in findings(e) if f.trigger == "sent"]
    if not early:
        return None
    told = " ".join(f"{f.layer.upper()}: {place(f)}." for f in early)
    return Proof(
        tuple(step for f in early for step in f.steps),
        0.95,
        tuple(_mechanism(f) for f in early),
        f"This name is acted upon before its packets reach the server. {told}",
    )


def _mechanism(found: path.Finding) -> Mechanism:
    """An answer to a ClientHello is a forged chain or an alert."""
    if (found.layer, found.fate) != ("tls", path.Fate.ANSWERED):
        return _MECHANISMS[found.layer, found.fate]
    chains = any(isinstance(step, Tls) and step.chain for step in found.steps)
    return Mechanism.TLS_MITM if chains else Mechanism.TLS_ALERT


def place(found: path.Finding) -> str:
    """Where, and how, in a few words."""
    between = (
        f"between hop {found.after} and hop {found.by}"
        if found.after
        else (f"before hop {found.by}")
    )
    stands = {"in": ", in the path", "on": ", on the path", None: ""}[found.stands]
    return f"{found.fate} {between}{stands}"


@rule("path.differs_at_the_server", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def differs_at_the_server(e: Evidence) -> Proof | None:
    """The names fare differently only where the server itself could be the reason."""
    late = [f for f in findings(e) if f.trigger is None]
    return Proof(tuple(step for f in late for step in f.steps), 0.5) if late else None


@rule("path.both_names_fare_alike", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def both_names_fare_alike(e: Evidence) -> Proof | None:
    """Wherever both names were sent they fared alike; `web` says whether the site opens."""
    sent = [layer for layer in path.LAYERS if any(h.target for h in path.hops(e.steps, layer))]
    return Proof(e.steps[-1:], 0.5) if sent and not list(findings(e)) else None


@rule("path.no_way_to_compare", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_way_to_compare(e: Evidence) -> Proof | None:
    """The harmless name was not answered there either, so that there is nothing to compare with."""
    sent = any(h.target for layer in path.LAYERS for h in path.hops(e.steps, layer))
    return None if sent else Proof(e.steps[-1:], 0.5)


RULES: tuple[Rule, ...] = (
    acted_upon_on_the_way,
    differs_at_the_server,
    both_names_fare_alike,
    no_way_to_compare,
)
