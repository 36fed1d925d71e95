"""The tables of a report on lines: heartbeats, their gaps, and outages. Pure."""

from collections.abc import Iterable

from collector.api.event_messages import EventShown
from collector.report.asked import ReportAsked, minute_text
from collector.report.findings import OF_LINES, Networks, at_of
from collector.report.heard import HeardFound
from collector.report.silences import SilenceFinding
from collector.report.tables import ReportTable, day_of


def heartbeats(of: HeardFound, networks: Networks, asked: ReportAsked) -> ReportTable:
    """How many probes were heard on each day of each network, and for how long."""
    columns = (
        "day", "asn", "network", "probes", "known_minutes", "most_at_once", "heard_minutes",
        f"minutes_with_{asked.least}_probes", "cut_minutes", "unheard_minutes", "coarse",
        f"fewer_than_{asked.least}_probes",
    )  # fmt: skip
    rows = []
    for one in of.days:
        numbers = (
            one.most,
            one.heard_minutes,
            one.enough_minutes,
            one.cut_minutes,
            one.unheard_minutes,
        )
        name = networks.name(one.asn)
        cells = [day_of(one.day), one.asn, name, one.probes, one.known_minutes]
        rows.append(
            [*cells, *map(_known, numbers), _word(one.coarse), _word(one.probes < asked.least)]
        )
    return ReportTable("heartbeats", columns, rows)


def gaps(of: HeardFound, networks: Networks) -> ReportTable:
    """The times in which no probe of a network was heard."""
    columns = ("asn", "network", "since", "until", "minutes", "reason", "probes_before")
    rows = [
        [
            one.asn,
            networks.name(one.asn),
            minute_text(one.since),
            minute_text(one.until),
            round((one.until - one.since) / 60),
            one.reason,
            one.before,
        ]
        for one in of.gaps
    ]
    return ReportTable("gaps", columns, rows)


def outages(
    events: Iterable[EventShown],
    silences: Iterable[SilenceFinding],
    networks: Networks,
    asked: ReportAsked,
) -> ReportTable:
    """Cuts of lines: those that events tell of, and silences that nothing else confirms."""
    columns = (
        "state", "kind", "country", "asn", "network", "began_after", "began_by", "ended_after",
        "ended_by", "probes", "able", "sources", "event",
    )  # fmt: skip
    told = [one for one in events if one.kind in OF_LINES]
    rows = [
        *((at_of(one.began.by), _event(one, networks)) for one in told),
        *((one.since, _silence(one, networks, asked)) for one in silences),
    ]
    ordered = sorted(rows, key=lambda row: (row[0], list(map(str, row[1]))))
    return ReportTable("outages", columns, [cells for _, cells in ordered])


def _event(one: EventShown, networks: Networks) -> list[object]:
    ended = (one.ended.after, one.ended.by) if one.ended else (None, None)
    cells = [
        *(one.state, one.kind, one.country, one.asn, networks.name(one.asn)),
        *(one.began.after, one.began.by, *ended),
        *(one.probes.agree, one.probes.able, " ".join(one.sources), one.id),
    ]
    return list(map(_known, cells))


def _silence(one: SilenceFinding, networks: Networks, asked: ReportAsked) -> list[object]:
    return [
        *(one.state, "silence", asked.country, one.asn, networks.name(one.asn)),
        *("", minute_text(one.since), "", minute_text(one.until)),
        *(one.probes, "", " ".join(("silence", *one.sources)), ""),
    ]


def _known(value: object) -> object:
    return "" if value is None else value


def _word(value: bool) -> str:  # noqa: FBT001 - a cell
    return str(value).lower()
