"""A trace as text: the result of both names at each hop, and the hop that interferes."""

from collections.abc import Iterator, Mapping

from probe.analysis import trace_analysis
from probe.analysis.trace_analysis import HopResult, Layer, TraceFinding
from probe.asn_table import UNKNOWN_OWNER, Owner
from probe.i18n import N_, _
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
    found = trace_analysis.routers(record.steps)
    return {step.travel.ttl: step for step in found if step.travel and step.travel.ttl}


def table(record: Record, owners: Mapping[str, Owner]) -> Iterator[str]:
    """Yield one line for each hop: the router, and target / harmless results by layer."""
    rows = {layer: {h.ttl: h for h in trace_analysis.hops(record.steps, layer)} for layer in _NAMES}
    shown: list[Layer] = [layer for layer in _NAMES if rows[layer]]
    at = routers_at(record)
    server = max((trace_analysis.server_at(record.steps, layer) or 0 for layer in shown), default=0)
    last = server or max([0, *at, *(ttl for layer in shown for ttl in rows[layer])])
    names = "".join(f"{_NAMES[layer]:20}" for layer in shown)
    yield f"{pad(_('hop'), 5)}{pad(_('router'), _WIDE)}{names}".rstrip()
    for ttl in range(1, last + 1):
        cells = "".join(pad(_cell(rows[layer].get(ttl)), 20) for layer in shown)
        node = _("the server") if ttl == server else _router(at.get(ttl), owners)
        yield f"{ttl:>3}  {pad(node, _WIDE)}{cells}".rstrip()


def _cell(hop: trace_analysis.Hop | None) -> str:
    if hop is None:
        return ""
    same = hop.target is hop.harmless or hop.target is None
    return _short(hop.harmless) if same else f"{_short(hop.target)} / {_short(hop.harmless)}"


def _short(result: HopResult | None) -> str:
    return _(_SHORT[result])


def _router(step: Ping | None, owners: Mapping[str, Owner]) -> str:
    if step is None or step.failure is not None:
        return "-"
    if step.address is None or not step.address[0].isdigit():
        return _("(near you; not recorded)")
    owner = owners.get(step.address, UNKNOWN_OWNER)
    return f"{step.address} ({owner})"[: _WIDE - 2]


def conclusions(record: Record, owners: Mapping[str, Owner]) -> Iterator[str]:
    """Yield the conclusions for each layer in turn."""
    for layer, name in _NAMES.items():
        if not any(hop.target for hop in trace_analysis.hops(record.steps, layer)):
            text = _("the harmless name got no answer either; nothing to compare with")
            yield f"{name}: {text}"
            continue
        found = trace_analysis.locate(record.steps, layer)
        if found is None:
            yield f"{name}: {_('both names had the same result at every hop')}"
            continue
        yield f"{name}: {_between(found)}, {location(record, found, owners)}"
        yield f"  {_(_STANDS[found.position])}"
        yield from _trigger(found)
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


def location(record: Record, found: TraceFinding, owners: Mapping[str, Owner]) -> str:
    """Return where the interference is: inside the country, at its border, outside, or unknown."""
    at, home = routers_at(record), record.vantage.country
    near = _country(at.get(found.after), owners, home)
    far = _country(at.get(found.by), owners, home)
    if home is None or near is None:
        return _("in an unknown country")
    if near != home:
        text = _("outside {country}")
    elif far is None:
        text = _("in {country} or at its border")
    else:
        text = _("inside {country}") if far == home else _("at the border of {country}")
    return text.format(country=home)


def _country(step: Ping | None, owners: Mapping[str, Owner], home: str | None) -> str | None:
    """Return the country of a router; an unrecorded (near) router is in the home country."""
    if step is None or step.failure is not None:
        return None
    return owners.get(step.address, UNKNOWN_OWNER).country if step.address else home


def _trigger(found: TraceFinding) -> Iterator[str]:
    if found.trigger == "sent":
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
