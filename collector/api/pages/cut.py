"""One cut of a line: heartbeats, what probes reported afterwards, and looks at the line. Pure.

Rule: what is known of networks with few probes is not counted, so that a reader does not learn when
the only volunteer of a network was at home.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from collector.api.event_messages import EventShown, OutageShown
from collector.api.http import instant_text
from collector.api.pages.chart import ChartTable
from collector.api.pages.open_ports import PortsRead, PortTries
from collector.care import Care
from collector.detection.outage import PROBES_LEAST
from collector.events import storage
from collector.events.model import Look
from collector.places import NetworkKey
from collector.store import Operation, heartbeats
from collector.store.heartbeats import HOUR, SLOT, HeartbeatHour, slot_times
from collector.web.time_axis import AxisSpan, TimeAxis
from collector.web.times import seconds

AROUND, LONGEST = 2 * 3600.0, 3 * 86_400.0
LOOKS = 5000
_BEFORE = 3600.0


@dataclass(frozen=True, slots=True)
class CutSpan:
    """Where and when a line was cut, as it is shown.

    Attributes:
        event: The event, or None for an outage that nothing else confirms.
        probes: How many say so.
    """

    country: str
    asn: int
    since: float
    until: float | None
    event: EventShown | None
    probes: int

    @property
    def began(self) -> float:
        """The latest time at which it had begun."""
        return (seconds(self.event.began.by) if self.event else None) or self.since


@dataclass(frozen=True, slots=True)
class CutData:
    """What was read of the time around a cut."""

    axis: TimeAxis
    beats: Sequence[HeartbeatHour]
    looks: Sequence[Look]


@dataclass(frozen=True, slots=True)
class CutShown:
    """A cut with its time line.

    Attributes:
        heard: Number of probes by slot. cut_off, unheard: slots of which probes reported afterwards
            that nothing abroad answered, and that everything but the collector did.
        whitelist_looks, cut_looks: Looks at the line for or against a white list, and a cut border.
        tried: Attempts at ports, by port.
        most: The most probes that were heard in the hour before. hidden: whether networks with few
            probes are left out. longer: whether the cut lasts longer than the time line.
        first_looks: So many looks are shown of more; None: all.
        gap: Too few probes were heard to tell a cut from a coincidence.
    """

    cut: CutSpan
    axis: TimeAxis
    spans: Sequence[AxisSpan]
    heard: Sequence[tuple[float, int]]
    cut_off: Sequence[AxisSpan]
    unheard: Sequence[AxisSpan]
    whitelist_looks: Sequence[AxisSpan]
    cut_looks: Sequence[AxisSpan]
    tried: PortsRead
    most: int
    hidden: bool
    gap: bool
    longer: bool
    first_looks: int | None

    @property
    def peak(self) -> int:
        """The most probes that were heard at once."""
        return max((n for _, n in self.heard), default=0)

    @property
    def missing(self) -> list[str]:
        """What nothing is known of: words of `words.CUT_EVIDENCE`."""
        known = {
            "heartbeats": self.heard,
            "reports": self.cut_off or self.unheard,
            "looks": self.whitelist_looks or self.cut_looks,
            "ports": self.tried.ports,
        }
        return [word for word, found in known.items() if not found]

    @property
    def port_lanes(self) -> list[tuple[PortTries, Sequence[AxisSpan]]]:
        """The attempts at each port as they are drawn."""
        ports = self.tried.ports
        return [(one, [_tried(t.at, answered=t.answered) for t in one.tries]) for one in ports]


def of_event(event: EventShown) -> CutSpan:
    """The cut that an event tells."""
    since = seconds(event.began.after) or seconds(event.began.by) or 0.0
    until = seconds(event.ended.by) if event.ended is not None else None
    return CutSpan(event.country, event.asn, since, until, event, event.probes.agree)


def of_outage(outage: OutageShown) -> CutSpan:
    """The cut that nothing else confirms."""
    since, until = seconds(outage.started_at) or 0.0, seconds(outage.ended_at)
    return CutSpan(outage.country, outage.asn, since, until, None, outage.probes)


def read(cut: CutSpan, now: float) -> Operation[CutData]:
    """What there is of the time around a cut."""
    first = cut.since - AROUND
    last = min(now, (now if cut.until is None else cut.until) + AROUND, first + LONGEST)
    axis = TimeAxis(first // HOUR * HOUR, -(-max(last, first + HOUR) // HOUR) * HOUR)
    line = cut.country, cut.asn
    beats = yield from heartbeats.heartbeats_since(axis.since, axis.until, line)
    where = ("", cut.country, cut.asn)
    looks = yield from storage.looks_between(where, axis.since, axis.until, LOOKS)
    return CutData(axis, beats, looks)


def places(data: CutData) -> Iterator[tuple[str, int, float]]:
    """What decides whether something of it is coarse."""
    yield from ((one.country, one.asn, one.hour * float(HOUR)) for one in data.beats)
    yield from ((one.country, one.asn, one.at) for one in data.looks)


def shown_looks(data: CutData, care: Care) -> list[Look]:
    """The looks that this reader may see; `care` has learnt of their places."""
    return [one for one in data.looks if not care.is_coarse(one.country, one.asn, one.at)]


def shown(
    cut: CutSpan,
    data: CutData,
    care: Care,
    trusted: Collection[str],
    tried: PortsRead | None = None,
) -> CutShown:
    """A cut with its time line; `care` has learnt of its places."""
    beats = [one for one in data.beats if one.key_id in trusted]
    clear = [one for one in beats if not _coarse(one, care)]
    looks, tried = shown_looks(data, care), tried or PortsRead()
    heard = _counts((one.key_id, one.hour, one.heard) for one in clear)
    before = [n for at, n in heard if cut.began - _BEFORE <= at < cut.began]
    hidden = len(clear) < len(beats) or len(looks) < len(data.looks)
    most = max(before, default=0)
    known = max(most, cut.probes) if hidden or not before else most
    return CutShown(
        cut=cut,
        axis=data.axis,
        spans=brackets(cut.event) if cut.event else [AxisSpan(cut.since, cut.until, "during")],
        heard=heard,
        cut_off=_spans((one.hour, one.cut) for one in clear),
        unheard=_spans((one.hour, one.missed) for one in clear),
        whitelist_looks=list(_looks(looks, "whitelist")),
        cut_looks=list(_looks(looks, "shutdown")),
        tried=tried,
        most=most,
        hidden=hidden,
        gap=known < PROBES_LEAST,
        first_looks=LOOKS if len(data.looks) >= LOOKS else None,
        longer=cut.until is not None and cut.until > data.axis.until,
    )


def table(cuts: Iterable[CutShown]) -> ChartTable:
    """The time lines of cuts as data: each interval of each lane."""
    columns = ("country", "asn", "event", "lane", "since", "until", "value")
    return ChartTable(columns, [row for one in cuts for row in _rows(one)])


def _rows(one: CutShown) -> Iterator[tuple[object, ...]]:
    where = one.cut.country, one.cut.asn, one.cut.event.id if one.cut.event else ""
    lanes: list[tuple[str, Sequence[AxisSpan]]] = [
        ("cut", one.spans),
        ("nothing_abroad_answered", one.cut_off),
        ("only_collector_silent", one.unheard),
        ("look_whitelist", one.whitelist_looks),
        ("look_shutdown", one.cut_looks),
    ]
    lanes += [(f"{of.whose}_port_{of.port}", spans) for of, spans in one.port_lanes]
    for name, spans in lanes:
        for span in spans:
            yield *where, name, _text(span.since), _text(span.until), 0 if span.low else 1
    for at, n in one.heard:
        yield *where, "heard", _text(at), _text(at + SLOT), n


def _text(at: float | None) -> str:
    return "" if at is None else instant_text(at)


def _coarse(one: HeartbeatHour, care: Care) -> bool:
    return care.is_coarse(one.country, one.asn, one.hour * float(HOUR))


def _counts(bits: Iterable[tuple[str, int, int]]) -> list[tuple[float, int]]:
    """The number of keys by the beginning of the slot."""
    keys: dict[float, set[str]] = defaultdict(set)
    for key, hour, heard in bits:
        for middle in slot_times(hour, heard):
            keys[middle - SLOT / 2].add(key)
    return [(at, len(keys[at])) for at in sorted(keys)]


def _spans(bits: Iterable[tuple[int, int]]) -> list[AxisSpan]:
    """The slots that any key reported, those side by side as one."""
    slots = sorted({at - SLOT / 2 for hour, of in bits for at in slot_times(hour, of)})
    found: list[list[float]] = []
    for at in slots:
        if found and at <= found[-1][1]:
            found[-1][1] = at + SLOT
        else:
            found.append([at, at + SLOT])
    return [AxisSpan(first, last, "fill-blocked") for first, last in found]


def _looks(looks: Iterable[Look], kind: str) -> Iterator[AxisSpan]:
    """The looks that say whether there was such an event of the line."""
    for one in looks:
        sign = one.sign(kind)
        if sign is not None:
            look = "fill-blocked" if sign else "fill-fine"
            yield AxisSpan(one.at, one.at + SLOT, look, low=not sign)


def _tried(at: float, *, answered: bool) -> AxisSpan:
    """An attempt at a port: high where something answered."""
    return AxisSpan(at, at + SLOT, "fill-count" if answered else "fill-silent", low=not answered)


def brackets(event: EventShown) -> list[AxisSpan]:
    """The beginning of an event, the time between, and its end."""
    began, ended = event.began, event.ended
    found = [AxisSpan(seconds(began.after), seconds(began.by), "bracket")]
    last = None if ended is None else seconds(ended.after or ended.by)
    found.append(AxisSpan(seconds(began.by), last, "during"))
    if ended is not None:
        found.append(AxisSpan(seconds(ended.after), seconds(ended.by), "bracket"))
    return found


def networks_with_few(too_few: Iterable[tuple[NetworkKey, int]]) -> list[tuple[str, int, int]]:
    """Networks on which an outage could not be noticed now: country, ASN, probes."""
    return [(*network, n) for network, n in sorted(too_few)]
