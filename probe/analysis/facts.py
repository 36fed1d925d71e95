"""Facts about the access line, computed from all records of one run.

Rules depend on these facts, so each is counted over *unrelated* names: names under one registered
name count once, and a harmless name at a target's address does not count.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from probe.analysis import silence_place
from probe.analysis.evidence import is_live
from probe.analysis.host_attempts import HostAttempt, Kind
from probe.analysis.line_sums import LineSums
from probe.analysis.pace import Paces
from probe.analysis.shared import Timeline, attempts
from probe.analysis.sinks import Sinks
from probe.compare import host_of, is_bogon
from probe.model import Dns, Http, Line, Outcome, Record, Reply, Role, Step, Steps, Tcp, Tls, Trust
from probe.reference_data import anchors, unused_addresses

_NEAR_SECONDS = 90.0
# Fewer anchors than this can all be down, or all blocked, by chance.
_LEAST_ANCHORS = 3
_NO_PAGE: dict[str, Any] = {
    "headers": {},
    "title": None,
    "fuzzy": None,
    "links": (),
    "body": None,
}


def condense(record: Record) -> Record:
    """Keep of a finished record only what the line facts need, about a tenth of its memory.

    Queries are dropped where the verdict is `ok`: the connections that followed show the same.
    """
    fine = record.verdict is not None and record.verdict.outcome is Outcome.OK
    unused = unused_addresses()
    steps = tuple(
        _condense_step(step)
        for step in record.steps
        if not (fine and isinstance(step, Dns) and step.resolver not in unused)
    )
    return replace(record, steps=steps, certs={}, control=(), verdict=None)


def _ordinary(record: Record) -> Record:
    """The record without packets that were not meant to reach a server."""
    left_out = silence_place.limited(record.steps)
    if not left_out:
        return record
    return replace(record, steps=tuple(s for s in record.steps if s.id not in left_out))


def _condense_step(step: Step) -> Step:
    match step:
        case Http():
            mark = None if step.proven else step.sha256
            return replace(step, **_NO_PAGE, sha256=mark)
        case Tls():
            trust = step.trust
            if trust is not None:
                key = "" if trust.valid else trust.issuer_key
                trust = Trust(
                    valid=trust.valid,
                    anchored=trust.anchored,
                    issuer_key=key,
                    authority=trust.authority,
                )
            return replace(step, chain=(), server_hello=None, cipher=None, trust=trust)
        case Dns():
            return replace(step, replies=tuple(map(_condense_reply, step.replies[:1])))
        case _:
            return step


def _condense_reply(reply: Reply) -> Reply:
    return Reply(at=0.0, rcode=reply.rcode, answers=reply.answers)


class Facts:
    """The line facts of one run; what does not depend on the judged record is computed once.

    Args:
        before, after: Reference steps before and after the targets, timed from the run's start.
        records: Every record of the run, judged or not; each is looked at once and not kept.
        clock_offset: This machine's clock minus true time, seconds, from a trusted source.
        answered: Instants at which another server answered, seconds since the epoch.
        abroad: Whether each anchor is abroad, by its host; None: the bundled anchors.
        systems: The autonomous system of each address, as far as the user's table has it.
    """

    def __init__(
        self,
        before: Steps,
        after: Steps,
        records: Iterable[Record],
        *,
        clock_offset: float | None = None,
        answered: Sequence[float] = (),
        abroad: Mapping[str, bool | None] | None = None,
        systems: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._references = (before, after)
        self._start: float | None = None
        self._paces, self._sums, self._sinks = Paces(), LineSums(), Sinks()
        self._answers = _Answers()
        for moment in answered:
            self._answers.add(moment, "")
        for steps in self._references:
            self._paces.add(steps)
            self._sums.add(steps)
        self._timeline = Timeline(self._attempts(records), systems)
        self._answers.sort()
        bundled = {host_of(one.url): one.foreign for one in anchors()}
        around = (*before, *after)
        shares = _anchors_alive(around, bundled if abroad is None else abroad)
        nowhere = next((s for s in around if isinstance(s, Dns) and s.role is Role.NEUTRAL), None)
        self._line = replace(
            self._sums.line(),
            clock_offset=clock_offset,
            nxdomain_answered=None if nowhere is None else bool(nowhere.addresses),
            nxdomain_addresses=() if nowhere is None else nowhere.addresses,
            foreign_alive=shares[0],
            domestic_alive=shares[1],
            sinks=self._sinks.found(),
        )

    def _attempts(self, records: Iterable[Record]) -> Iterator[tuple[Kind, HostAttempt]]:
        """The attempts of all records, each of which is looked at once, and of reference sites."""
        for record in map(_ordinary, records):
            began = _epoch(record)
            self._start = began if self._start is None else min(self._start, began)
            self._paces.add(record.steps)
            self._sums.add(record.steps)
            self._sinks.add(record.steps)
            for step in filter(_reached, record.steps):
                self._answers.add(began + step.at + step.elapsed, record.id)
            yield from attempts(record.steps, began, host_of(record.input))
        for steps in self._references:
            yield from attempts(steps, self._start or 0.0)

    def of(self, record: Record | None) -> Line:
        """The facts for judging one record; None for the run's own record."""
        before, after = self._references
        own = (_any_live(before), _any_live(after))
        if record is None:
            return replace(self._line, alive_before=own[0], alive_after=own[1])
        record = _ordinary(record)
        before_it, after_it = self._alive(record)
        where = (record.steps, _epoch(record), host_of(record.input))
        return replace(
            self._line,
            alive_before=before_it,
            alive_after=after_it,
            page_rate=_rounded(self._paces.usual(host_of(record.input))),
            shared=self._timeline.shared(*where),
            hoster=self._timeline.hoster(*where),
        )

    def _alive(self, record: Record) -> tuple[bool | None, bool | None]:
        """Whether another server answered shortly before and after this record's failure."""
        failing = [s for s in record.steps if s.failure is not None and s.role is Role.TARGET]
        if not failing:
            return None, None
        epoch = _epoch(record)
        start = epoch if self._start is None else min(self._start, epoch)
        known = [start + s.at + s.elapsed for part in self._references for s in part if _reached(s)]
        last = max(failing, key=lambda s: s.at)
        began = epoch + last.at
        ended = began + last.elapsed
        return (
            self._any(record.id, known, began - _NEAR_SECONDS, ended),
            self._any(record.id, known, ended, ended + _NEAR_SECONDS),
        )

    def _any(self, but: str, known: Iterable[float], first: float, last: float) -> bool:
        """Whether a server answered between two instants, in any record but one."""
        if any(first <= moment <= last for moment in known):
            return True
        return self._answers.any(but, first, last)


class _Answers:
    """When servers answered, and in which record: 16 bytes each, since a run has many."""

    def __init__(self) -> None:
        self._moments, self._records = array("d"), array("q")

    def add(self, moment: float, record: str) -> None:
        """Add one answer."""
        self._moments.append(moment)
        self._records.append(hash(record))

    def sort(self) -> None:
        """Bring them in the order of time, before the first question."""
        order = sorted(range(len(self._moments)), key=self._moments.__getitem__)
        self._moments = array("d", map(self._moments.__getitem__, order))
        self._records = array("q", map(self._records.__getitem__, order))

    def any(self, but: str, first: float, last: float) -> bool:
        """Whether there was one between two instants, in any record but one."""
        own, at = hash(but), bisect_left(self._moments, first)
        while at < len(self._moments) and self._moments[at] <= last:
            if self._records[at] != own:
                return True
            at += 1
        return False


def _anchors_alive(
    steps: Sequence[Step], abroad: Mapping[str, bool | None]
) -> tuple[float | None, float | None]:
    """Shares of the foreign and of the domestic anchors that answered over TLS.

    Anchors without an address are left out: a laboratory has none of the world's anchors, and a
    failing resolver is another fact. Certificates are not checked here.
    """
    seen = [s for s in steps if s.role is Role.REFERENCE]
    answered = {s.sni for s in seen if isinstance(s, Tls) and s.answered}
    found = answered | {s.name for s in seen if isinstance(s, Dns) and s.addresses}
    shares = []
    for foreign in (True, False):
        tried = {host for host, away in abroad.items() if away is foreign} & found
        enough = len(tried) >= _LEAST_ANCHORS
        shares.append(round(len(tried & answered) / len(tried), 4) if enough else None)
    return shares[0], shares[1]


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate)


def _any_live(steps: Steps) -> bool | None:
    return any(map(_reached, steps)) if steps else None


def _reached(step: Step) -> bool:
    return is_live(step) and not (isinstance(step, Tcp) and is_bogon(step.address))


def _epoch(record: Record) -> float:
    try:
        return datetime.fromisoformat(record.started_at).timestamp()
    except ValueError:
        return 0.0
