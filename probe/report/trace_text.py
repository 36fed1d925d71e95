"""A trace as text: the result of both names at each hop, and the hop that interferes."""

from collections.abc import Iterator, Mapping

from probe.analysis import trace_analysis, trace_hops
from probe.analysis.evidence import Evidence
from probe.analysis.trace_analysis import SingleLook, TraceFinding
from probe.analysis.trace_hops import HopResult, Layer
from probe.asn_table import UNKNOWN_OWNER, Owner
from probe.i18n import N_, _, ngettext
from probe.model import Packet, Ping, Record
from probe.report.cells import pad

_WIDE = 46
_NAMES: dict[Layer, str] = {"tls": "TLS", "http": "HTTP", "dns": "DNS"}
_SHORT = {
    HopResult.ANSWERED: N_("answer"),
    HopResult.RESET: N_("RESET"),
    HopResult.CLOSED: N_("CLOSED"),
    HopResult.EXPIRED: N_("forwarded"),
    HopResult.SILENT: N_("silence"),
    None: "",
}
_RESULTS = {
    HopResult.ANSWERED: N_("answered"),
    HopResult.RESET: N_("reset"),
    HopResult.CLOSED: N_("closed"),
    HopResult.EXPIRED: N_("forwarded"),
    HopResult.SILENT: N_("dropped"),
}
_STANDS = {
    "in": N_("in-path: packets with the name do not get past it"),
    "on": N_("on-path: it injects an answer, and the packets still go on"),
    None: N_("in-path or on-path: the observations do not tell"),
}


def routers_at(record: Record) -> dict[int, Ping]:
    """Return the router that answered at each distance (TTL)."""
    found = trace_hops.routers(record.steps)
    return {step.travel.ttl: step for step in found if step.travel and step.travel.ttl}


def table(record: Record, owners: Mapping[str, Owner]) -> Iterator[str]:
    """Yield one line for each hop: the router, and target / harmless results by layer."""
    rows = {layer: {h.ttl: h for h in trace_hops.hops(record.steps, layer)} for layer in _NAMES}
    shown: list[Layer] = [layer for layer in _NAMES if rows[layer]]
    at = routers_at(record)
    server = max((trace_hops.server_at(record.steps, layer) or 0 for layer in shown), default=0)
    last = server or max([0, *at, *(ttl for layer in shown for ttl in rows[layer])])
    names = "".join(f"{_NAMES[layer]:20}" for layer in shown)
    yield f"{pad(_('hop'), 5)}{pad(_('router'), _WIDE)}{names}".rstrip()
    for ttl in range(1, last + 1):
        cells = "".join(pad(_cell(rows[layer].get(ttl)), 20) for layer in shown)
        node = _("the server") if ttl == server else _router(at.get(ttl), owners)
        yield f"{ttl:>3}  {pad(node, _WIDE)}{cells}".rstrip()


def _cell(hop: trace_hops.Hop | None) -> str:
    if hop is None:
        return ""
    if hop.target is hop.harmless:
        return _short(hop.harmless)
    return f"{_short(hop.target) or '-'} / {_short(hop.harmless)}"


def _short(result: HopResult | None) -> str:
    return _(_SHORT[result])


def _router(step: Ping | None, owners: Mapping[str, Owner]) -> str:
    if step is None or step.failure is not None:
        return "-"
    if step.address is None or not step.address[0].isdigit():
        return _("(near you; not recorded)")
    owner = owners.get(step.address, UNKNOWN_OWNER)
    return f"{step.address} ({owner})"[: _WIDE - 2]


def conclusions(record: Record) -> Iterator[str]:
    """Yield the conclusions for each layer in turn."""
    for layer, name in _NAMES.items():
        if not any(hop.target for hop in trace_hops.hops(record.steps, layer)):
            text = _("the harmless name got no answer either; nothing to compare with")
            yield f"{name}: {text}"
            continue
        yield from _ways(record, layer, name)
        found = trace_analysis.locate(record.steps, layer)
        once = trace_analysis.single_look(record.steps, layer)
        if once is not None:
            yield f"{name}: {_seen_once(once)}"
            continue
        if found is None:
            yield f"{name}: {_('both names had the same result at every hop')}"
            continue
        if found.nearer:
            yield f"{name}: {_nearer(found)}"
            continue
        yield f"{name}: {_between(found)}, {location(record, found)}"
        yield f"  {_(_STANDS[found.position])}"
        yield from _trigger(found, by=Evidence(record).stop_of(found).by)
        yield from _packets(found)
        yield from _residual(trace_analysis.residual(record.steps, layer))
    reason = next((s.detail for s in record.steps if isinstance(s, Ping) and s.what == "raw"), None)
    if reason:
        yield _("packets were not captured: {reason}").format(reason=reason)


def _between(found: TraceFinding) -> str:
    if found.after:
        text = _("the target's name is {result} between hop {after} and hop {by}")
    else:
        text = _("the target's name is {result} before hop {by}")
    return text.format(result=_(_RESULTS[found.result]), after=found.after, by=found.by)


_PLACES = {
    "server": N_("in the server's own network"),
    "inside": N_("inside {country}"),
    "border": N_("at the border of {country}"),
    "inside_or_border": N_("in {country} or at its border"),
    "outside": N_("outside {country}"),
    None: N_("in an unknown country"),
}


def location(record: Record, found: TraceFinding) -> str:
    """Return where the interference is: inside the country, at its border, outside, or unknown."""
    place = Evidence(record).stop_of(found)
    text = _(_PLACES[place.where]).format(country=record.vantage.country)
    return f"{text} (AS{place.asn})" if place.asn is not None else text


def _ways(record: Record, layer: Layer, name: str) -> Iterator[str]:
    """Yield by how much the ways to the server differ, if they do."""
    longer = trace_hops.spread(record.steps, layer)
    if longer:
        text = ngettext(
            "ways of different length lead to the server: one is {number} hop longer",
            "ways of different length lead to the server: one is {number} hops longer",
            longer,
        )
        yield f"{name}: {text.format(number=longer)}"


def _seen_once(one: SingleLook) -> str:
    text = _(
        "at hop {hop} the target's name met: {result}; the harmless one: {other}; too few attempts "
        "to locate anything"
    )
    said = text.format(hop=one.ttl, result=_(_SHORT[one.result]), other=_(_SHORT[one.harmless]))
    if one.punished:
        said += "; " + _(
            "afterwards the address did not answer the harmless name either (--residual waits)"
        )
    return said


def _nearer(found: TraceFinding) -> str:
    text = _(
        "the target's name is {result}, and the server answers from nearer than routers on the way "
        "to it: distances do not show where"
    )
    return text.format(result=_(_RESULTS[found.result]))


def _trigger(found: TraceFinding, *, by: str | None) -> Iterator[str]:
    if found.trigger == "sent" and by is None:
        yield "  " + _("so near the server that it may be the server's own network")
    elif found.trigger == "sent":
        yield "  " + _("triggered by what this machine sends: it never reached the server")
    else:
        yield "  " + _("triggered by the request or by its answer: the observations do not tell")


def _packets(found: TraceFinding) -> Iterator[str]:
    if found.injected is not None:
        yield "  " + _("interfering packet: {packet}").format(packet=_packet(found.injected))
    if found.own is not None:
        yield "  " + _("the server's own, before: {packet}").format(packet=_packet(found.own))


def _packet(packet: Packet) -> str:
    return (
        f"IP TTL {packet.ip_ttl}, IP ID {packet.ip_id}, flags {packet.flags or '-'}, "
        f"window {packet.window}"
    )


def _residual(found: trace_analysis.Residual | None) -> Iterator[str]:
    if found is None or (found.most is not None and not found.least):
        return
    if found.most is None:
        text = _("residual blocking: the harmless name fails too, for at least {least} s")
        yield "  " + text.format(least=f"{found.least:.0f}")
    else:
        text = _("residual blocking: the harmless name fails too, for {least} to {most} s")
        yield "  " + text.format(least=f"{found.least:.0f}", most=f"{found.most:.0f}")
