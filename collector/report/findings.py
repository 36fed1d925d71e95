"""What a report says, out of its frozen rows, the events and the interceptions. Pure.

A place is a site on a network. It is `confirmed` or `ended` when an event says so, `suspected` when
only a suspected event does, and `measured` when single measurements found interference that made no
event.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from collector.api.event_messages import EventShown
from collector.record_row import instant
from collector.report.asked import ReportAsked
from collector.report.frozen import FoundRows
from probe import reference_data

State = Literal["confirmed", "ended", "suspected", "measured"]
_ORDER: Sequence[State] = ("confirmed", "ended", "suspected", "measured")
OF_SITES = frozenset({"blocking", "interception", "throttling"})
OF_LINES = frozenset({"shutdown", "whitelist"})
KIND_OF = {"blocked": "blocking", "intercepted": "interception", "throttled": "throttling"}
OUTCOME_OF = {kind: outcome for outcome, kind in KIND_OF.items()}
Where = tuple[str, int]


class PlaceFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one site on one network.

    Attributes:
        kind: blocking, interception or throttling: of the event, or what most measurements say.
        events: Ids of the events there, the oldest first; the brackets are those of the last.
        mechanisms: Number of measurements by mechanism, the most frequent first.
        conclusive: Measurements that could tell; interfered: of them, those that found it.
        first_seen, last_seen: Of interference, Unix time; to the hour where it is coarse.
    """

    target: str
    category: str
    asn: int
    network: str
    state: State
    kind: str
    mechanisms: Mapping[str, int]
    authority: str
    began_after: str
    began_by: str
    ended_after: str
    ended_by: str
    conclusive: int
    interfered: int
    inconclusive: int
    probes: int
    probes_interfered: int
    first_seen: float | None
    last_seen: float | None
    coarse: bool
    events: Sequence[str]


class Networks:
    """The names of networks: the well-known ones, or what probes call them."""

    def __init__(self, told: FoundRows) -> None:
        self._told: dict[int, str] = {row[0]: row[1] for row in told.rows}
        self._known = reference_data.networks()

    def name(self, asn: int) -> str:
        """Its name; empty when none is known."""
        return self._known.get(asn) or self._told.get(asn) or ""

    def label(self, asn: int) -> str:
        """Its number and name."""
        name = self.name(asn)
        number = f"AS{asn}" if asn else "AS?"
        return f"{number} {name}" if name else number


def places(
    asked: ReportAsked,
    found: FoundRows,
    mechanisms: FoundRows,
    events: Sequence[EventShown],
    networks: Networks,
) -> list[PlaceFinding]:
    """Every place with interference, by site and network."""
    rows = {(one["target"], one["asn"]): one for one in found.by_name()}
    words = by_place(mechanisms)
    at_place: dict[Where, list[EventShown]] = defaultdict(list)
    for event in events:
        if event.kind in OF_SITES and event.state != "withdrawn" and lasted(event, asked):
            at_place[event.target or "", event.asn].append(event)
    bad = {where for where, one in rows.items() if one["interfered"]}
    return [
        _place(where, rows.get(where), words.get(where, {}), at_place.get(where, []), networks)
        for where in sorted(bad | at_place.keys())
    ]


def by_place(mechanisms: FoundRows) -> dict[Where, dict[str, int]]:
    """The number of measurements by mechanism at each place, the most frequent first."""
    found: dict[Where, dict[str, int]] = defaultdict(dict)
    for one in sorted(
        mechanisms.by_name(), key=lambda row: (-row["measurements"], row["mechanism"])
    ):
        found[one["target"], one["asn"]][one["mechanism"]] = one["measurements"]
    return found


def lasted(event: EventShown, asked: ReportAsked) -> bool:
    """Whether an event lasted at some time of the report."""
    return at_of(event.began.by) < asked.until and (
        event.ended is None or at_of(event.ended.by) > asked.since
    )


def at_of(text: str) -> float:
    """The Unix time of a shown instant."""
    return instant(text) or 0.0


def state_of(event: EventShown) -> State:
    """How sure it is, in the words of a report."""
    if event.confirmed_at is None:
        return "suspected"
    return "ended" if event.state == "ended" else "confirmed"


def _place(
    where: Where,
    row: Mapping[str, Any] | None,
    words: Mapping[str, int],
    events: Sequence[EventShown],
    networks: Networks,
) -> PlaceFinding:
    best = min(events, key=lambda one: (_ORDER.index(state_of(one)), one.id), default=None)
    best = best and max(
        (one for one in events if state_of(one) == state_of(best)), key=lambda one: one.began.by
    )
    counts = defaultdict(int, row or {})
    ended = best.ended if best else None
    return PlaceFinding(
        target=where[0],
        category=(row or {}).get("category") or (best.category if best else "") or "",
        asn=where[1],
        network=networks.name(where[1]),
        state=state_of(best) if best else "measured",
        kind=best.kind if best else main_kind(counts),
        mechanisms=words or dict.fromkeys(best.mechanisms if best else (), 0),
        authority=(best.authority if best else "") or "",
        began_after=(best.began.after if best else "") or "",
        began_by=best.began.by if best else "",
        ended_after=(ended.after if ended else "") or "",
        ended_by=ended.by if ended else "",
        conclusive=counts["conclusive"],
        interfered=counts["interfered"],
        inconclusive=counts["inconclusive"],
        probes=counts["probes"],
        probes_interfered=counts["probes_interfered"],
        first_seen=(row or {}).get("first_seen"),
        last_seen=(row or {}).get("last_seen"),
        coarse=bool(counts["coarse"]) or any(one.coarse for one in events),
        events=[one.id for one in events],
    )


def main_kind(counts: Mapping[str, int]) -> str:
    """The kind that most measurements say."""
    return KIND_OF[max(KIND_OF, key=lambda outcome: counts[outcome])]


def day_states(found: FoundRows, asked: ReportAsked) -> dict[Where, list[str]]:
    """What each day looked like at each place: one word, or empty where no probe looked."""
    first = round(asked.since / 86_400)
    counts: dict[Where, list[dict[str, int]]] = {}
    for target, asn, day, outcome, n in found.rows:
        days = counts.setdefault((target, asn), [{} for _ in range(asked.days)])
        days[day - first][outcome] = n
    return {where: [_state(of) for of in days] for where, days in counts.items()}


def _state(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    bad = {word: counts[word] for word in KIND_OF if word in counts}
    fine = counts.get("ok", 0) + counts.get("refused", 0)
    if bad:
        return max(bad, key=lambda word: bad[word]) if sum(bad.values()) > fine else "mixed"
    return max(counts, key=lambda word: (word in {"ok", "refused"}, counts[word], word))


def gaps(asked: ReportAsked, coverage: Iterable[Mapping[str, Any]]) -> dict[int, list[int]]:
    """The number of probes on each day of each network, 0 where there was none."""
    first = round(asked.since / 86_400)
    found: dict[int, list[int]] = {}
    for one in coverage:
        found.setdefault(one["asn"], [0] * asked.days)[one["day"] - first] = one["probes"]
    return found
