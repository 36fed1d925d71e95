"""The ladder of a wave: who changed when, and, where an order is known, who was late. Pure.

Rule: the time between two looks makes no network late. A network is late only if its last fine look
came after the latest possible deadline, and in time only if a look found the change before the
earliest possible one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from urllib.parse import urlsplit

from collector.api.event_messages import EventShown
from collector.api.http import instant_text
from collector.api.pages.chart import ChartTable
from collector.web.time_axis import AxisLine, AxisSpan, TimeAxis
from collector.web.times import seconds, zone
from probe.reference_data import Order

# Within so many seconds an order has to be carried out, by the law of the country.
DEADLINES = {"KZ": 3 * 3600.0}
# An order that is older has another wave.
_BEFORE = 30 * 86_400.0
_AROUND = 0.06
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
Keeping = Literal["in_time", "late", "unknown", ""]


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order that a wave may follow.

    Attributes:
        given: When, from and to; the same instant twice where that is known.
        deadline: The same of the legal deadline; None where the law names none.
    """

    order: Order
    given: tuple[float, float]
    deadline: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Rung:
    """One event of the ladder.

    Attributes:
        keeping: Whether it began in time; empty where no deadline is known.
        late: By how many seconds at least. behind: how many after the first event at least.
    """

    event: EventShown
    span: AxisSpan
    keeping: Keeping
    late: float
    behind: float


@dataclass(frozen=True, slots=True)
class OrderClock:
    """The ladder."""

    axis: TimeAxis
    rungs: Sequence[Rung]
    orders: Sequence[KnownOrder]
    lines: Sequence[AxisLine]


def clock(events: Sequence[EventShown], known: Iterable[Order]) -> OrderClock:
    """The ladder of these events, the first to begin on top."""
    ladder = sorted(events, key=lambda one: (one.began.by, one.began.after or "", one.id))
    orders = [found for one in known if (found := _applies(one, ladder)) is not None]
    deadlines = [one.deadline for one in orders if one.deadline is not None]
    deadline = min(deadlines, default=None)
    first = seconds(ladder[0].began.by) or 0.0
    lines = [AxisLine(one.given[0], "order") for one in orders]
    lines += [AxisLine(one[1], "deadline") for one in deadlines]
    return OrderClock(
        axis=_axis(ladder, lines),
        rungs=[_rung(one, deadline, first) for one in ladder],
        orders=orders,
        lines=lines,
    )


def table(of: OrderClock) -> ChartTable:
    """The ladder as data: its networks, and the orders and deadlines."""
    columns = ("event", "target", "country", "asn", "after", "by", "keeping", "late_seconds")
    rows: list[tuple[object, ...]] = [
        (
            *(one.event.id, one.event.target, one.event.country, one.event.asn),
            *(one.event.began.after, one.event.began.by, one.keeping, round(one.late)),
        )
        for one in of.rungs
    ]
    for one in of.orders:
        for what, span in (("order", one.given), ("deadline", one.deadline)):
            if span is not None:
                names = " ".join(one.order.names)
                between = instant_text(span[0]), instant_text(span[1])
                rows.append((what, names, one.order.country, 0, *between, "", 0))
    return ChartTable(columns, rows)


def _applies(order: Order, events: Sequence[EventShown]) -> KnownOrder | None:
    """An order that names a target of these events, from shortly before they began."""
    given = _given(order)
    if given is None or not any(_names(order, one) for one in events):
        return None
    began = [seconds(one.began.by) or 0.0 for one in events]
    if not min(began) - _BEFORE <= given[0] <= max(began):
        return None
    within = DEADLINES.get(order.country)
    deadline = None if within is None else (given[0] + within, given[1] + within)
    return KnownOrder(order, given, deadline)


def _names(order: Order, event: EventShown) -> bool:
    if event.country != order.country or not event.target:
        return False
    host = urlsplit(event.target).hostname or event.target
    return any(host == name or host.endswith(f".{name}") for name in order.names)


def _given(order: Order) -> tuple[float, float] | None:
    """When an order was given; a day is that of the country."""
    try:
        if not _DAY.fullmatch(order.date):
            at = datetime.fromisoformat(order.date).timestamp()
            return at, at
        day = datetime.fromisoformat(order.date).date()
    except ValueError:
        return None
    here = zone(order.country) or UTC
    begin = datetime.combine(day, time(), tzinfo=here)
    return begin.timestamp(), (begin + timedelta(days=1)).timestamp()


def _rung(event: EventShown, deadline: tuple[float, float] | None, first: float) -> Rung:
    after, by = seconds(event.began.after), seconds(event.began.by) or 0.0
    keeping: Keeping = "" if deadline is None else "unknown"
    late = 0.0
    if deadline is not None and after is not None and after > deadline[1]:
        keeping, late = "late", after - deadline[1]
    elif deadline is not None and by <= deadline[0]:
        keeping = "in_time"
    return Rung(
        event=event,
        span=AxisSpan(after, by, "bracket"),
        keeping=keeping,
        late=late,
        behind=max(0.0, after - first) if after is not None else 0.0,
    )


def _axis(events: Sequence[EventShown], lines: Sequence[AxisLine]) -> TimeAxis:
    """All brackets and lines, and a little around them."""
    times = [seconds(at) for one in events for at in (one.began.after, one.began.by)]
    known = [*(at for at in times if at is not None), *(one.at for one in lines)]
    around = max(1800.0, _AROUND * (max(known) - min(known)))
    return TimeAxis(min(known) - around, max(known) + around)
