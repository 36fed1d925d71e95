"""Explain one record in plain text: the finding, the reasons, and the observations step by step.

The text is made of sections of plain lines that the terminal and the HTML report share. It is not
escaped: the caller does that (`escape.plain`, `html.escape`). It is in the user's language; ids of
mechanisms and rules stay as they are.
"""

from collections.abc import Iterator

from msgspec import Struct

from probe.i18n import N_, _, reason
from probe.model import (
    Authority,
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
from probe.report.findings import ACCUSING, Conclusion
from probe.report.glossary import (
    FAILURES,
    MECHANISMS,
    OUTCOMES,
    STAGES,
    TRUST,
    amount,
    seconds,
    word,
)
from probe.report.names import shown_url

_ROLES = {
    Role.HARMLESS: N_("with a harmless name"),
    Role.REFERENCE: N_("as a reference"),
    Role.NEUTRAL: N_("at a neutral server"),
}
# As the standards spell what is no plain abbreviation.
_TRANSPORTS = {"dot": "DoT", "doh": "DoH"}
_KINDS = {
    "interception": N_("interception"),
    "national": N_("national"),
    "service": N_("service"),
}


class Section(Struct, frozen=True):
    """A heading and its lines."""

    title: str
    lines: tuple[str, ...]


class Explanation(Struct, frozen=True):
    """An explained record: one sentence, then sections."""

    headline: str
    sections: tuple[Section, ...]


def explain(record: Record) -> Explanation:
    """Explain a record to a person."""
    sections = (
        Section(_("Measured"), tuple(_about(record))),
        Section(_("Mechanisms"), tuple(_how(record.verdict))),
        Section(_("Reasons"), tuple(_why(record.verdict))),
        Section(_("The received certificate and the site's own"), tuple(differences(record))),
        Section(_("DNS answers"), tuple(_names(record.steps))),
        Section(_("Certificates"), tuple(_certificates(record))),
        Section(_("Observations in order"), tuple(_timeline(record.steps))),
        Section(_("Control measurements"), tuple(_controls(record.control))),
    )
    return Explanation(headline(record), tuple(one for one in sections if one.lines))


def headline(record: Record) -> str:
    """Return one sentence: target, outcome, confidence, and for interference how often seen."""
    target = shown_url(record.input)
    if record.verdict is None:
        return _("{target}: no verdict").format(target=target)
    verdict = record.verdict
    return _("{target} {finding} ({outcome}, {certainty}).").format(
        target=target or _("This connection"),
        finding=_(OUTCOMES[verdict.outcome]),
        outcome=word(verdict.outcome),
        certainty=certainty(verdict),
    )


def certainty(verdict: Conclusion) -> str:
    """Return the confidence, and for interference whether a later run confirmed it."""
    sure = _("{confidence} confidence").format(confidence=f"{verdict.confidence:.0%}")
    if verdict.outcome not in ACCUSING:
        return sure
    return f"{sure}, {_(STAGES[verdict.stage])}"


def _about(record: Record) -> Iterator[str]:
    yield _("at {time}, in {duration}").format(
        time=record.started_at, duration=seconds(record.elapsed)
    )
    vantage = record.vantage
    where = network_label(vantage.country, vantage.asn, vantage.network)
    yield _("from {network}").format(network=where)
    if record.lab:
        yield _("in a test laboratory: says nothing about the real internet")
    yield _("record {id} of run {run}").format(id=record.id, run=record.run)


def network_label(country: str | None, asn: int | None, network: str | None) -> str:
    """Return the network of a vantage point in words, as far as it is known."""
    known = (network, f"AS{asn}" if asn else None, country)
    return ", ".join(part for part in known if part) or _("an unknown network")


def _how(verdict: Verdict | None) -> Iterator[str]:
    for mechanism in verdict.mechanisms if verdict else ():
        yield f"{_(MECHANISMS[mechanism])} ({mechanism})"


def _why(verdict: Verdict | None) -> Iterator[str]:
    for hit in verdict.rules if verdict else ():
        steps = ""
        if hit.steps:
            steps = "; " + _("steps {numbers}").format(numbers=", ".join(map(str, hit.steps)))
        yield f"{reason(hit.reason) or hit.id} [{hit.id}{steps}]"


def _names(steps: Steps) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Dns) and step.role is Role.TARGET and step.travel is None:
            asked = _("{resolver} for {name} {type}").format(
                resolver=_resolver(step), name=step.name, type=step.type
            )
            for reply in step.replies or ():
                none = _("no address (rcode {number})").format(number=reply.rcode)
                yield f"{asked}: {', '.join(reply.answers) or none}"
            if not step.replies:
                yield f"{asked}: {_failure(step)}"
            if len(step.replies) > 1:
                text = _("{number} answers to this one query")
                yield "  " + text.format(number=len(step.replies))


def _certificates(record: Record) -> Iterator[str]:
    here = {step.chain[0]: step.trust for step in _chains(record.steps) if step.trust}
    for digest, trust in here.items():
        yield from _certificate(_("Served here"), digest, trust)
    for control in record.control:
        for step in _chains(control.steps):
            if step.trust and step.chain[0] not in here:
                here[step.chain[0]] = step.trust
                where = _("Served elsewhere ({control})").format(control=control_label(control))
                yield from _certificate(where, step.chain[0], step.trust)


def _chains(steps: Steps) -> Iterator[Tls | Quic]:
    for step in steps:
        if isinstance(step, Tls | Quic) and step.chain and step.role is Role.TARGET:
            yield step


def _certificate(where: str, digest: str, trust: Trust) -> Iterator[str]:
    yield f"{where}: {_('trusted by browsers') if trust.valid else _distrust(trust)}"
    yield "  " + _("for {subject}").format(subject=trust.subject or _("(no subject)"))
    yield "  " + _("by {issuer}").format(issuer=trust.issuer or _("(no issuer)"))
    if trust.authority is not None:
        yield "  " + _authority(trust.authority)
    if trust.local:
        yield "  " + _("the issuer is installed on this machine")
    yield "  " + _("valid from {start} to {end}").format(
        start=trust.not_before or "?", end=trust.not_after or "?"
    )
    yield f"  sha256 {digest}"


def _authority(authority: Authority) -> str:
    if authority.proof == "verified":
        text = _("known: {id} ({kind} authority, verified by its key)")
    else:
        text = _("known: {id} ({kind} authority, by name only)")
    return text.format(id=authority.id, kind=_(_KINDS[authority.kind]))


def _distrust(trust: Trust) -> str:
    why = _(TRUST[trust.reason]) if trust.reason else _("for an unknown reason")
    return _("not trusted: {reason}").format(reason=why)


def _timeline(steps: Steps) -> Iterator[str]:
    for step in steps:
        notes = [_(_ROLES[step.role])] if step.role in _ROLES else []
        if step.try_ > 1:
            notes.append(_("attempt {number}").format(number=step.try_))
        if step.travel is not None and step.travel.ttl is not None:
            notes.append(f"TTL {step.travel.ttl}")
        yield f"{step.id:>3}  +{step.at:7.2f} s  {', '.join((sentence(step), *notes))}"


def sentence(step: Step) -> str:
    """Return what one step did and its result."""
    if step.failure is not None:
        text = _("{action}: {failure} after {duration}").format(
            action=_asked(step), failure=_failure(step), duration=seconds(step.elapsed)
        )
        return text + _extra(step)
    return _("{action}: {result} in {duration}").format(
        action=_asked(step), result=_answer(step), duration=seconds(step.elapsed)
    )


def _asked(step: Step) -> str:  # noqa: PLR0911 - one return for each kind of step
    match step:
        case Dns():
            return _("asked {resolver} for {name} ({type})").format(
                resolver=_resolver(step), name=step.name, type=step.type
            )
        case Tcp():
            return _("connected to {address} port {port}").format(
                address=step.address, port=step.port
            )
        case Tls():
            return _named(_("TLS handshake with {address} for the name {name}"), step)
        case Http():
            return _("requested {url} from {address}").format(url=step.url, address=step.address)
        case Quic():
            return _named(_("QUIC handshake with {address} for the name {name}"), step)
        case Transfer():
            return _named(_("timed transfer from {address} under the name {name}"), step)
        case Ping():
            return _("probed for: {what}").format(what=step.what)


def _named(text: str, step: Tls | Quic | Transfer) -> str:
    return text.format(address=step.address, name=step.sni or _("(none)"))


def _answer(step: Step) -> str:
    match step:
        case Dns():
            return ", ".join(step.addresses) or _("answered without an address")
        case Tls() | Quic():
            if step.trust is None:
                return _("completed")
            trust = _("trusted") if step.trust.valid else _distrust(step.trust)
            return _("completed, {trust}").format(trust=trust)
        case Http():
            return ", ".join(_page(step))
        case Transfer():
            return _transferred(step)
        case _:
            return _("answered")


def _transferred(step: Transfer) -> str:
    if step.ended == "budget":
        return _("not started: the daily byte quota was used up")
    rate = _("{amount}/s").format(amount=amount(step.rate)) if step.rate else _("no steady rate")
    return _("{amount}, {rate}, ended by {end}").format(
        amount=amount(step.received_bytes), rate=rate, end=step.ended
    )


def _page(step: Http) -> Iterator[str]:
    yield str(step.status or _("no HTTP"))
    yield amount(step.received_bytes)
    if step.title:
        yield _("titled “{title}”").format(title=step.title)
    if step.location:
        yield _("redirected to {url}").format(url=step.location)


def _failure(step: Step) -> str:
    return _(FAILURES[step.failure]) if step.failure else _("no answer")


def _extra(step: Step) -> str:
    match step:
        case Tls() if step.alert is not None and step.alert_by == "us":
            return " " + _("(alert {number} from this probe)").format(number=step.alert)
        case Tls() if step.alert is not None:
            return " " + _("(alert {number} from the peer)").format(number=step.alert)
        case Tls() | Quic():
            return " " + _("({amount} received)").format(amount=amount(step.bytes_in))
        case _:
            return ""


def _resolver(step: Dns) -> str:
    named = _("the system's resolver") if step.resolver == "system" else step.resolver
    transport = _TRANSPORTS.get(step.transport, step.transport.upper())
    return _("{resolver} over {transport}").format(resolver=named, transport=transport)


def _controls(controls: tuple[Control, ...]) -> Iterator[str]:
    for control in controls:
        yield f"{control_label(control)}:"
        yield from (f"  {sentence(step)}" for step in control.steps)
