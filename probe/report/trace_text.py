"""A trace in plain words: what each hop did to both names, and where somebody acts upon one."""

from collections.abc import Iterator, Mapping

from probe.analysis import trace_analysis
from probe.analysis.trace_analysis import Finding, HopResult, Layer
from probe.asn_table import NOBODY, Owner
from probe.model import Packet, Ping, Record

_WIDE = 46
_NAMES: dict[Layer, str] = {"tls": "TLS", "http": "HTTP", "dns": "DNS"}
_SHORT = {
    HopResult.ANSWERED: "answer",
    HopResult.RESET: "RESET",
    HopResult.CLOSED: "CLOSED",
    HopResult.EXPIRED: "goes on",
    HopResult.SILENT: "silence",
    None: "",
}
_STANDS = {
    "in": "in the path: packets with the name do not get past it",
    "on": "on the path: it only watches, and speaks first; the packets go on",
    None: "in or on the path: not told by what was seen",
}


def routers_at(record: Record) -> dict[int, Ping]:
    """Who answered at each distance."""
    found = trace_analysis.routers(record.steps)
    return {step.travel.ttl: step for step in found if step.travel and step.travel.ttl}


def table(record: Record, owners: Mapping[str, Owner]) -> Iterator[str]:
    """One line a hop: who is there, and what became of target / harmless by each layer."""
    rows = {layer: {h.ttl: h for h in trace_analysis.hops(record.steps, layer)} for layer in _NAMES}
    shown: list[Layer] = [layer for layer in _NAMES if rows[layer]]
    at = routers_at(record)
    server = max((trace_analysis.server_at(record.steps, layer) or 0 for layer in shown), default=0)
    last = server or max([0, *at, *(ttl for layer in shown for ttl in rows[layer])])
    names = "".join(f"{_NAMES[layer]:20}" for layer in shown)
    yield f"hop  {'router':{_WIDE}}{names}".rstrip()
    for ttl in range(1, last + 1):
        cells = "".join(f"{_cell(rows[layer].get(ttl)):20}" for layer in shown)
        who = "the server" if ttl == server else _router(at.get(ttl), owners)
        yield f"{ttl:>3}  {who:{_WIDE}}{cells}".rstrip()


def _cell(hop: trace_analysis.Hop | None) -> str:
    if hop is None:
        return ""
    same = hop.target is hop.harmless or hop.target is None
    return _SHORT[hop.harmless] if same else f"{_SHORT[hop.target]} / {_SHORT[hop.harmless]}"


def _router(step: Ping | None, owners: Mapping[str, Owner]) -> str:
    if step is None or step.failure is not None:
        return "-"
    if step.address is None or not step.address[0].isdigit():
        return "(near you; not told)"
    owner = owners.get(step.address, NOBODY)
    return f"{step.address} ({owner})"[: _WIDE - 2]


def conclusions(record: Record, owners: Mapping[str, Owner]) -> Iterator[str]:
    """Sentences about each layer in turn."""
    for layer, name in _NAMES.items():
        if not any(hop.target for hop in trace_analysis.hops(record.steps, layer)):
            yield f"{name}: the harmless name was not answered either; nothing to compare with"
            continue
        found = trace_analysis.locate(record.steps, layer)
        if found is None:
            yield f"{name}: both names fared alike at every hop"
            continue
        yield f"{name}: {_where(found)}, {place(record, found, owners)}"
        yield f"  {_STANDS[found.stands]}"
        yield from _trigger(found)
        yield from _packets(found)
        yield from _punished(trace_analysis.residual(record.steps, layer))
    reason = next((s.detail for s in record.steps if isinstance(s, Ping) and s.what == "raw"), None)
    if reason:
        yield f"single packets were not looked at: {reason}"


def _where(found: Finding) -> str:
    between = (
        f"between hop {found.after} and hop {found.by}"
        if found.after
        else (f"before hop {found.by}")
    )
    return f"the name meets {found.fate.value} {between}"


def place(record: Record, found: Finding, owners: Mapping[str, Owner]) -> str:
    """Inside the country, at its border, abroad; unknown is said."""
    at, home = routers_at(record), record.vantage.country
    near = _country(at.get(found.after), owners, home)
    far = _country(at.get(found.by), owners, home)
    if home is None or near is None:
        return "in which country is not known"
    if near != home:
        return f"outside {home}"
    if far is None:
        return f"in {home} or at its border"
    return f"inside {home}" if far == home else f"at the border of {home}"


def _country(step: Ping | None, owners: Mapping[str, Owner], home: str | None) -> str | None:
    """Of whoever answered there; whoever is too near to be told is at home."""
    if step is None or step.failure is not None:
        return None
    return owners.get(step.address, NOBODY).country if step.address else home


def _trigger(found: Finding) -> Iterator[str]:
    if found.trigger == "sent":
        yield "  what we send is enough: it never reached the server"
    else:
        yield "  whether what we send or what is answered triggers it is not told"


def _packets(found: Finding) -> Iterator[str]:
    if found.injected is not None:
        yield f"  the packet that does it:   {_packet(found.injected)}"
    if found.own is not None:
        yield f"  the server's own, before:  {_packet(found.own)}"


def _packet(packet: Packet) -> str:
    return (
        f"IP TTL {packet.ip_ttl}, IP ID {packet.ip_id}, flags {packet.flags or '-'}, "
        f"window {packet.window}"
    )


def _punished(found: trace_analysis.Residual | None) -> Iterator[str]:
    if found is None or (found.most is not None and not found.least):
        return
    if found.most is None:
        yield f"  afterwards the harmless name fails here too, for {found.least:.0f} s at least"
    else:
        yield (
            f"  afterwards the harmless name fails here too, "
            f"for {found.least:.0f} to {found.most:.0f} s"
        )
