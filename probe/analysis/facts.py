"""Facts about the access line, computed from all records of one run.

Rules depend on these facts, so each is counted over *unrelated* names: names under one registered
name count once, and a harmless name at a target's address does not count.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice, takewhile
from statistics import median
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from probe.analysis import silence_place
from probe.analysis.evidence import is_live
from probe.analysis.pace import Paces
from probe.analysis.shared import Timeline, attempts, network_of
from probe.analysis.sinks import sinks
from probe.compare import host_of, is_bogon, page_sign, registrable
from probe.failure import Failure
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
_OWN = frozenset({Role.TARGET, Role.REFERENCE})
_CUT = frozenset({Failure.RESET, Failure.ABORTED, Failure.EOF})
_BROKEN = _CUT | {Failure.TIMEOUT}
# So many reference sites must have been cut off before it is the line that does it.
_LEAST_CUT = 2
# Address and port, and how the attempt failed.
ReferenceAttempt = tuple[tuple[str, int], Failure | None]


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
        records: Every record of the run, judged or not.
        clock_offset: This machine's clock minus true time, seconds, from a trusted source.
        answered: Instants at which another server answered, seconds since the epoch.
        abroad: Whether each anchor is abroad, by its host; None: the bundled anchors.
        systems: The autonomous system of each address, as far as the user's table has it.
    """

    def __init__(
        self,
        before: Steps,
        after: Steps,
        records: Sequence[Record],
        *,
        clock_offset: float | None = None,
        answered: Sequence[float] = (),
        abroad: Mapping[str, bool | None] | None = None,
        systems: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        records = [_ordinary(record) for record in records]
        self._references = (before, after)
        self._start = min(map(_epoch, records), default=None)
        reached = [
            (begun + step.at + step.elapsed, one.id)
            for one, begun in ((one, _epoch(one)) for one in records)
            for step in one.steps
            if _reached(step)
        ]
        around = (*attempts(before, self._start or 0.0), *attempts(after, self._start or 0.0))
        own = (one for r in records for one in attempts(r.steps, _epoch(r), host_of(r.input)))
        self._timeline = Timeline((*around, *own), systems)
        self._paces = Paces()
        for steps in (before, after, *(one.steps for one in records)):
            self._paces.add(steps)
        self._moments = sorted([*reached, *((moment, "") for moment in answered)])
        bundled = {host_of(one.url): one.foreign for one in anchors()}
        shares = _anchors_alive((*before, *after), bundled if abroad is None else abroad)
        line = _line(before, after, records, clock_offset)
        self._line = replace(
            line, foreign_alive=shares[0], domestic_alive=shares[1], sinks=sinks(records)
        )

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
        begin = bisect_left(self._moments, (first, ""))
        near = takewhile(lambda moment: moment[0] <= last, islice(self._moments, begin, None))
        return any(id_ != but for _, id_ in near)


def _line(
    before: Steps, after: Steps, records: Sequence[Record], clock_offset: float | None
) -> Line:
    """What all records of a run share."""
    steps = [*before, *after, *(step for one in records for step in one.steps)]
    around = [*before, *after]
    resigned_by, resigned_names = _resigned(steps)
    portal, portal_hosts, portal_sign = _one_page(steps)
    timing = [s for s in steps if s.failure is None and s.elapsed > 0]
    references = _reference_attempts((before, after, *(one.steps for one in records)))
    nowhere = next((s for s in around if isinstance(s, Dns) and s.role is Role.NEUTRAL), None)
    unused = unused_addresses()
    hijacked = (s.resolver for s in steps if isinstance(s, Dns) and s.replies)
    return Line(
        references=len(references),
        references_failed=sum(failure is not None for _, failure in references),
        round_trip=_middle(s.elapsed for s in timing if isinstance(s, Tcp)),
        handshake=_middle(s.elapsed for s in timing if isinstance(s, Tls)),
        loss=_loss(references),
        resets=_resets(references),
        clock_offset=clock_offset,
        resigned_by=resigned_by,
        resigned_names=resigned_names,
        resigned_harmless=_harmless_too(steps, resigned_by),
        trusted_names=len(
            {registrable(s.sni or "") for s in _shaken(steps) if s.trust and s.trust.valid}
        ),
        portal=portal,
        portal_hosts=portal_hosts,
        portal_sign=portal_sign,
        nxdomain_answered=None if nowhere is None else bool(nowhere.addresses),
        hijacked_resolvers=tuple(dict.fromkeys(r for r in hijacked if r in unused)),
        nxdomain_addresses=() if nowhere is None else nowhere.addresses,
    )


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


def _middle(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(median(known), 6) if known else None


def _shaken(steps: Iterable[Step]) -> list[Tls]:
    return [s for s in steps if isinstance(s, Tls) and s.role in _OWN and s.sni]


def _resigned(steps: Iterable[Step]) -> tuple[str | None, int]:
    """The untrusted key that signs for most unrelated names, and for how many.

    A national root that browsers do not carry signs for many sites of its country: not counted.
    """
    names: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for step in _shaken(steps):
        trust = step.trust
        if trust is None or trust.valid or trust.anchored or not trust.issuer_key:
            continue
        if trust.authority is not None and trust.authority.kind == "national":
            continue
        names[trust.issuer_key].add((registrable(step.sni or ""), step.address))
    # Unrelated names differ and have addresses that differ: one misconfigured server counts once.
    counted = {
        key: min(len({name for name, _ in pairs}), len({address for _, address in pairs}))
        for key, pairs in names.items()
    }
    best = max(counted, key=lambda key: counted[key], default=None)
    return (best, counted[best]) if best is not None else (None, 0)


def _harmless_too(steps: Iterable[Step], key: str | None) -> int:
    """For how many harmless names that key signs; a filter with a list of names signs for none."""
    shaken = [s for s in steps if isinstance(s, Tls) and s.role is Role.HARMLESS]
    signed = [s for s in shaken if s.trust is not None and s.trust.issuer_key == key]
    return len({s.sni for s in signed if key is not None and s.trust and not s.trust.anchored})


def _one_page(steps: Iterable[Step]) -> tuple[bool | None, int, str | None]:
    """Whether one page answers for unrelated names over plain http, for how many, and which."""
    # The first hop over plain http only: the page of the name itself, not one it redirects to.
    pages = [
        s
        for s in steps
        if isinstance(s, Http) and s.role in _OWN and not s.proven
        if s.hop == 0 and s.url.startswith("http:")
    ]
    answered = [s for s in pages if s.status is not None or s.malformed]
    hosts: dict[str, set[str]] = defaultdict(set)
    servers: dict[str, set[str]] = defaultdict(set)
    for page in answered:
        sign = page_sign(page)
        if sign:
            hosts[sign].add(registrable(host_of(page.url)))
            servers[sign].add(network_of(page.address) or page.address)
    common = max(hosts, key=lambda sign: len(hosts[sign]), default=None)
    most = len(hosts[common]) if common is not None else 0
    asked = {registrable(host_of(s.url)) for s in answered}
    if len(asked) >= 2 and most == len(asked):
        return True, most, common
    # One server shows its default page, or a notice of its own, for all of its hosts.
    unrelated = min(most, len(servers[common])) if common is not None else 0
    return None if len(asked) < 2 else False, unrelated, common


def _reference_attempts(parts: Iterable[Steps]) -> list[ReferenceAttempt]:
    """Where each connection to a reference site went, and how it or what it was for failed.

    A certificate that proves nothing is an answer, and so is an alert.
    """
    found: list[ReferenceAttempt] = []
    for steps in parts:
        broken = {s.parent: s.failure for s in steps if s.failure in _BROKEN and s.parent}
        for step in steps:
            if isinstance(step, Tcp) and step.role is Role.REFERENCE:
                failure = step.failure or broken.get(step.id)
                found.append(((step.address, step.port), failure))
    return found


def _at_working(attempts: Iterable[ReferenceAttempt]) -> list[ReferenceAttempt]:
    """Those at reference sites that worked at least once."""
    every = list(attempts)
    working = {where for where, failure in every if failure is None}
    return [one for one in every if one[0] in working]


def _loss(attempts: Iterable[ReferenceAttempt]) -> float | None:
    """Share of failed attempts among those at reference sites that worked at least once."""
    known = _at_working(attempts)
    failed = sum(failure is not None for _, failure in known)
    return round(failed / len(known), 4) if known else None


def _resets(attempts: Iterable[ReferenceAttempt]) -> float | None:
    """Share of attempts that were cut off, if several such sites were; one may do it itself."""
    known = _at_working(attempts)
    cut = [where for where, failure in known if failure in _CUT]
    if not known:
        return None
    return round(len(cut) / len(known), 4) if len(set(cut)) >= _LEAST_CUT else 0.0


def _any_live(steps: Steps) -> bool | None:
    return any(map(_reached, steps)) if steps else None


def _reached(step: Step) -> bool:
    return is_live(step) and not (isinstance(step, Tcp) and is_bogon(step.address))


def _epoch(record: Record) -> float:
    try:
        return datetime.fromisoformat(record.started_at).timestamp()
    except ValueError:
        return 0.0
