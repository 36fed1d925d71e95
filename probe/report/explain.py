"""Explain one record in plain text: the finding, the reasons, and the observations step by step.

The text is made of sections of plain lines that the terminal and the HTML report share. It is not
escaped: the caller does that (`escape.plain`, `html.escape`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from probe.model import (
    Control,
    Dns,
    Http,
    Ping,
    Quic,
    Record,
    Role,
    Step,
    Steps,
    Tcp,
    Tls,
    Transfer,
    Trust,
    Verdict,
)
from probe.report.certificate_diff import control_label, differences
from probe.report.glossary import FAILURES, MECHANISMS, OUTCOMES, TRUST, amount, seconds

_ROLES = {
    Role.HARMLESS: "with a harmless name",
    Role.REFERENCE: "as a reference",
    Role.NEUTRAL: "at a neutral server",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An explained record: one sentence, then sections."""

    headline: str
    sections: tuple[Section, ...]


def explain(record: Record) -> Explanation:
    """Explain a record to a person."""
    sections = (
        Section("Measured", tuple(_about(record))),
        Section("Mechanisms", tuple(_how(record.verdict))),
        Section("Reasons", tuple(_why(record.verdict))),
        Section("The received certificate and the site's own", tuple(differences(record))),
        Section("DNS answers", tuple(_names(record.steps))),
        Section("Certificates", tuple(_certificates(record))),
        Section("Observations in order", tuple(_timeline(record.steps))),
        Section("Control measurements", tuple(_controls(record.control))),
    )
    return Explanation(headline(record), tuple(one for one in sections if one.lines))


def headline(record: Record) -> str:
    """Return one sentence: target, outcome, confidence."""
    if record.verdict is None:
        return f"{record.input}: no verdict"
    verdict = record.verdict
    certainty = f"{verdict.confidence:.0%} confidence, {verdict.stage}"
    return f"{record.input} {OUTCOMES[verdict.outcome]} ({verdict.outcome}, {certainty})."


def _about(record: Record) -> Iterator[str]:
    yield f"at {record.started_at}, in {seconds(record.elapsed)}"
    vantage = record.vantage
    yield f"from {network_label(vantage.country, vantage.asn, vantage.network)}"
    if record.lab:
        yield "in a test laboratory: says nothing about the real internet"
    yield f"record {record.id} of run {record.run}"


def network_label(country: str | None, asn: int | None, network: str | None) -> str:
    """Return the network of a vantage point in words, as far as it is known."""
    known = (network, f"AS{asn}" if asn else None, country)
    return ", ".join(part for part in known if part) or "an unknown network"


def _how(verdict: Verdict | None) -> Iterator[str]:
    for mechanism in verdict.mechanisms if verdict else ():
        yield f"{MECHANISMS[mechanism]} ({mechanism})"


def _why(verdict: Verdict | None) -> Iterator[str]:
    for hit in verdict.rules if verdict else ():
        steps = f"; steps {', '.join(map(str, hit.steps))}" if hit.steps else ""
        yield f"{hit.reason or hit.id} [{hit.id}{steps}]"


def _names(steps: Steps) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Dns) and step.role is Role.TARGET and step.travel is None:
            for reply in step.replies or ():
                found = ", ".join(reply.answers) or f"no address (rcode {reply.rcode})"
                yield f"{_resolver(step)} for {step.name} {step.type}: {found}"
            if not step.replies:
                yield f"{_resolver(step)} for {step.name} {step.type}: {_failure(step)}"
            if len(step.replies) > 1:
                yield f"  {len(step.replies)} answers to this one query"


def _certificates(record: Record) -> Iterator[str]:
    here = {step.chain[0]: step.trust for step in _chains(record.steps) if step.trust}
    for digest, trust in here.items():
        yield from _certificate("Served here", digest, trust)
    for control in record.control:
        for step in _chains(control.steps):
            if step.trust and step.chain[0] not in here:
                here[step.chain[0]] = step.trust
                yield from _certificate(
                    f"Served elsewhere ({control_label(control)})", step.chain[0], step.trust
                )


def _chains(steps: Steps) -> Iterator[Tls | Quic]:
    for step in steps:
        if isinstance(step, Tls | Quic) and step.chain and step.role is Role.TARGET:
            yield step


def _certificate(where: str, digest: str, trust: Trust) -> Iterator[str]:
    yield f"{where}: {'trusted by browsers' if trust.valid else _distrust(trust)}"
    yield f"  for    {trust.subject or '(no subject)'}"
    yield f"  by     {trust.issuer or '(no issuer)'}"
    if trust.authority is not None:
        proof = "verified by its key" if trust.authority.proof == "verified" else "by name only"
        yield f"  known  {trust.authority.id} ({trust.authority.kind} authority, {proof})"
    if trust.local:
        yield "  local  the issuer is installed on this machine"
    yield f"  valid  {trust.not_before or '?'} to {trust.not_after or '?'}"
    yield f"  sha256 {digest}"


def _distrust(trust: Trust) -> str:
    return f"not trusted: {TRUST[trust.reason] if trust.reason else 'for an unknown reason'}"


def _timeline(steps: Steps) -> Iterator[str]:
    for step in steps:
        again = f", attempt {step.try_}" if step.try_ > 1 else ""
        role = f", {_ROLES[step.role]}" if step.role in _ROLES else ""
        ttl = step.travel.ttl if step.travel is not None else None
        hop = "" if ttl is None else f", TTL {ttl}"
        yield f"{step.id:>3}  +{step.at:7.2f} s  {sentence(step)}{role}{again}{hop}"


def sentence(step: Step) -> str:
    """Return what one step did and its result."""
    if step.failure is not None:
        return f"{_asked(step)}: {_failure(step)} after {seconds(step.elapsed)}{_extra(step)}"
    return f"{_asked(step)}: {_answer(step)} in {seconds(step.elapsed)}"


def _asked(step: Step) -> str:  # noqa: PLR0911 - one return for each kind of step
    match step:
        case Dns():
            return f"asked {_resolver(step)} for {step.name} ({step.type})"
        case Tcp():
            return f"connected to {step.address} port {step.port}"
        case Tls():
            return f"TLS handshake with {step.address} for the name {step.sni or '(none)'}"
        case Http():
            return f"requested {step.url} from {step.address}"
        case Quic():
            return f"QUIC handshake with {step.address} for the name {step.sni or '(none)'}"
        case Transfer():
            return f"timed transfer from {step.address} under the name {step.sni or '(none)'}"
        case Ping():
            return f"probed for: {step.what}"


def _answer(step: Step) -> str:
    match step:
        case Dns():
            return ", ".join(step.addresses) or "answered without an address"
        case Tls() | Quic():
            trust = step.trust
            proof = "" if trust is None else "trusted" if trust.valid else _distrust(trust)
            return f"completed, {proof}" if proof else "completed"
        case Http():
            title = f", titled “{step.title}”" if step.title else ""
            onward = f", redirected to {step.location}" if step.location else ""
            return f"{step.status or 'no HTTP'}, {amount(step.received_bytes)}{title}{onward}"
        case Transfer() if step.ended == "budget":
            return "not started: the daily byte quota was used up"
        case Transfer():
            rate = f"{amount(step.rate)}/s" if step.rate else "no steady rate"
            return f"{amount(step.received_bytes)}, {rate}, ended by {step.ended}"
        case _:
            return "answered"


def _failure(step: Step) -> str:
    return FAILURES[step.failure] if step.failure else "no answer"


def _extra(step: Step) -> str:
    match step:
        case Tls() if step.alert is not None:
            by = "this probe" if step.alert_by == "us" else "the peer"
            return f" (alert {step.alert} from {by})"
        case Tls() | Quic():
            return f" ({amount(step.bytes_in)} received)"
        case _:
            return ""


def _resolver(step: Dns) -> str:
    named = "the system's resolver" if step.resolver == "system" else step.resolver
    return f"{named} over {step.transport.upper()}"


def _controls(controls: tuple[Control, ...]) -> Iterator[str]:
    for control in controls:
        yield f"{control_label(control)}:"
        yield from (f"  {sentence(step)}" for step in control.steps)
