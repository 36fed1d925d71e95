"""The events of one kind at one target on one network, from its looks in the order of their time.

Rules:

- *Suspected* when one trusted key found it twice in a row, or two independent keys once each.
- *Confirmed* when a quorum of independent keys found it, and more than half of the keys with a
  conclusive look since it began. Keys that found the target fine within a day before are awaited:
  they count as well. One look more than keys is needed, so that two single errors on one evening
  are no event. The changes that these keys saw must overlap, or each of them found it twice: a key
  that always strays and a single error of another are no quorum.
- *Ended* when more independent keys found the target fine since then than still find it bad: a
  quorum of them with one look more than keys, or one key twice in a row while no other key speaks
  against it.
- A suspicion that no key holds any longer was never confirmed, and is withdrawn. After ten of them
  within the looks that are kept, only what is confirmed is published: one key that changes its mind
  each hour must not fill the store.

Each key's vote is its newest look of each experiment; any experiment that shows interference
outweighs others of the same key. A key has one bracket, however many experiments it makes, and an
origin has one, however many keys it has: else one liar could move the beginning of a true event.
The state is small, so that a collector can keep one for each target and network, and a late look is
added by replaying the looks again. A look that repeats what its key said is cheap, so that many
looks of many keys are.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

from collector.detection.quorum import holds
from collector.events.bracket import Agreement, common
from collector.events.key_history import KeyHistory, SignRun
from collector.events.model import Bracket, EventState, Look, TargetEvent
from collector.places import NetworkKey
from collector.standing import Standings

EXAMPLES = 5
# Two probes that agree are rarely both wrong, and may share a fault that no number reduces.
MOST_CONFIDENT = 0.99
# A probe that found the target fine within this time is heard before others outvote it, so that
# attackers gain nothing by measuring first. A white list of an evening is over before probes of
# machines that were switched off measure again.
AWAITED = 86_400.0
# So many suspicions of one place are withdrawn before further ones are not told any more.
SUSPICIONS = 10
NOT_SEEN_AGAIN = "not confirmed: the same probes found the target fine again"


@dataclass(frozen=True, slots=True)
class Rules:
    """How many independent keys confirm an event, and whose looks count."""

    quorum: int
    standings: Standings


class _Voices(NamedTuple):
    """Independent keys with a look since an instant, by what their newest looks say."""

    bad: tuple[str, ...]
    fine: tuple[str, ...]


@dataclass(slots=True)
class _Open:
    """What is collected while an event lasts."""

    signs: Counter[str] = field(default_factory=Counter)
    authorities: Counter[str] = field(default_factory=Counter)
    confidence: dict[str, float] = field(default_factory=dict)
    agreed: set[str] = field(default_factory=set)
    peak: tuple[int, int] = (0, 0)
    evidence: dict[str, list[str]] = field(default_factory=dict)
    last_seen_at: float = 0.0
    began: Bracket = field(default_factory=lambda: Bracket(None, 0.0))
    confirmed_at: float | None = None
    # Keys may have looked since `agreed` and `peak` were counted.
    is_behind: bool = False

    @property
    def suspected(self) -> bool:
        """Whether two keys found it, or one of them twice."""
        repeated = any(len(ids) > 1 for ids in self.evidence.values())
        return self.confirmed_at is not None or len(self.agreed) > 1 or repeated

    def see(self, look: Look) -> None:
        """Add a look that is a sign of the event."""
        self.signs.update(look.mechanisms.split())
        if look.authority:
            self.authorities[look.authority] += 1
        self.confidence[look.key] = max(look.confidence, self.confidence.get(look.key, 0.0))
        self.evidence.setdefault(look.key, []).append(look.id)
        del self.evidence[look.key][EXAMPLES:]
        self.last_seen_at = look.at

    def examples(self) -> tuple[str, ...]:
        """Record ids, one of each key in turn."""
        columns = [self.evidence[key] for key in sorted(self.evidence)]
        depth = max(map(len, columns), default=0)
        rows = [ids[n] for n in range(depth) for ids in columns if n < len(ids)]
        return tuple(rows[:EXAMPLES])


class EventTimeline:
    """The events of one kind at one target on one network.

    Attributes:
        over: Events that ended or were withdrawn, oldest first.
    """

    def __init__(self, kind: str, target: str, network: NetworkKey, rules: Rules) -> None:
        self.over: list[TargetEvent] = []
        self._kind, self._target, self._network, self._rules = kind, target, network, rules
        self._keys: dict[tuple[str, str], KeyHistory] = {}
        self._open: _Open | None = None
        # Since when some key contradicts the present state, or None.
        self._since: float | None = None
        # Whether the keys that looked since then do not outnumber those that agree.
        self._outvoted = False
        self._withdrawn = 0
        # When the event before ended; earlier looks belong to that one.
        self._settled = -inf
        self._newest = 0.0

    @property
    def confirmed(self) -> bool:
        """Whether a confirmed event lasts."""
        return self._open is not None and self._open.confirmed_at is not None

    def events(self) -> Iterator[TargetEvent]:
        """Every event so far, the lasting one last."""
        yield from self.over
        self._catch_up()
        event = self._open
        if event is None or not event.suspected:
            return
        if event.confirmed_at is not None or self._withdrawn < SUSPICIONS:
            yield self._event(event)

    def add(self, look: Look) -> None:
        """Add a look that is not older than the others; one that says nothing is passed over."""
        bad = look.sign(self._kind)
        if bad is None or not self._rules.standings.is_trusted(look.key):
            return
        name = look.key, look.experiment
        history = self._keys.get(name)
        if history is None:
            history = self._keys[name] = KeyHistory()
        run = history.newest
        said_at = run.last.at if run is not None and run.bad is bad else None
        if self._changes_nothing(bad=bad, said_at=said_at):
            self._repeat(history, look, bad=bad)
            return
        self._catch_up()
        history.add(look, bad=bad)
        self._newest = look.at
        if self.confirmed:
            self._while_confirmed(look, bad=bad)
        else:
            self._while_not_confirmed(look, bad=bad)

    # --- looks that repeat what their key said --------------------------------------------------

    def _changes_nothing(self, *, bad: bool, said_at: float | None) -> bool:
        """Whether a look can change no state, because its key said the same at `said_at`."""
        event = self._open
        if said_at is None:
            return False
        if event is None:
            return not bad
        if event.confirmed_at is None:
            agree, able = event.peak
            # More looks that are fine make no quorum.
            return not holds(agree, able, self._rules.quorum) and (
                not bad or said_at >= event.began.by
            )
        if self._since is None:
            return bad and not event.is_behind and said_at >= event.began.by
        return said_at >= self._since and (bad or self._outvoted)

    def _repeat(self, history: KeyHistory, look: Look, *, bad: bool) -> None:
        history.add(look, bad=bad)
        self._newest = look.at
        if self._open is None:
            return
        if bad:
            self._open.see(look)
        elif self._open.confirmed_at is None:
            self._open.is_behind = True

    def _catch_up(self) -> None:
        """Count the keys whose looks were passed over."""
        event = self._open
        if event is not None and event.confirmed_at is None and event.is_behind:
            self._count(event)

    def _count(self, event: _Open) -> _Voices:
        """Count who looked since an event began that is not confirmed."""
        voices = self._voices(event.began.by)
        event.agreed = set(voices.bad)
        event.peak = len(voices.bad), len(voices.bad) + len(voices.fine)
        event.is_behind = False
        return voices

    # --- before an event is confirmed -----------------------------------------------------------

    def _while_not_confirmed(self, look: Look, *, bad: bool) -> None:
        if self._open is None:
            if not bad:
                return
            self._open = _Open()
        event = self._open
        if bad:
            event.see(look)
        doubters = self._speakers(self._keys_that_say(bad=True))
        if not doubters:
            self._withdraw(event, look)
            return
        event.began, overlapping = self._began(doubters)
        voices = self._count(event)
        able = event.peak[1] + self._awaited(voices, event.began.by, look.at)
        enough = holds(event.peak[0], able, self._rules.quorum)
        if enough and self._is_repeated(voices.bad, overlapping):
            event.confirmed_at = look.at

    def _is_repeated(self, keys: Collection[str], overlapping: int) -> bool:
        """Whether these keys saw the same change, or each found it twice."""
        runs = self._present_runs(keys, bad=True)
        quorum = self._rules.quorum
        if quorum > 1 and sum(run.count for run in runs) <= quorum:
            return False
        return overlapping >= quorum or all(run.count > 1 for run in runs)

    def _withdraw(self, event: _Open, look: Look) -> None:
        self._withdrawn += event.suspected
        if event.suspected and self._withdrawn <= SUSPICIONS:
            told = self._event(event)
            ended = Bracket(event.last_seen_at, look.at)
            self.over.append(
                replace(told, state=EventState.WITHDRAWN, ended=ended, reason=NOT_SEEN_AGAIN)
            )
        self._open = None

    def _began(self, keys: Collection[str]) -> Agreement:
        """When it began, by most of these keys; not before the event before it was over."""
        found = common([*self._changes(keys, to_bad=True, since=self._settled)])
        after, by = found.bracket
        if self._settled > -inf and (after is None or after < self._settled < by):
            # A key that never stopped saying so found it before; this event began afterwards.
            return Agreement(Bracket(self._settled, max(by, self._settled)), found.probes)
        return found

    # --- while a confirmed event lasts ----------------------------------------------------------

    def _while_confirmed(self, look: Look, *, bad: bool) -> None:
        event = self._open
        assert event is not None  # noqa: S101 - it is confirmed
        if bad:
            event.see(look)
        if self._since is None:
            if bad:
                self._agree(event, self._voices(event.began.by))
                return
            self._since = look.at
        event.is_behind = True
        voices = self._voices(self._since)
        self._outvoted = len(voices.fine) <= len(voices.bad)
        if not voices.fine:
            self._since = None
        elif self._is_over(voices):
            told = self._event(event)
            ended = self._ended(event, voices.fine, told.began.by) or Bracket(
                event.last_seen_at, look.at
            )
            self.over.append(replace(told, state=EventState.ENDED, ended=ended))
            self._settled = ended.by
            self._open = self._since = None

    def _ended(self, event: _Open, fine: Collection[str], began: float) -> Bracket | None:
        """When it ended, by the keys that saw it; None where none of them looked afterwards."""
        changes = self._changes(event.agreed.intersection(fine), to_bad=False, since=began)
        seen = [one for one in changes if one.after is not None]
        return common(seen).bracket if seen else None

    def _is_over(self, voices: _Voices) -> bool:
        """Whether the keys that looked since the first contradiction refute the event."""
        if len(voices.fine) <= len(voices.bad):
            return False
        runs = self._present_runs(voices.fine, bad=False)
        if len(voices.fine) >= self._rules.quorum:
            return sum(run.count for run in runs) > self._rules.quorum or self._rules.quorum == 1
        since = self._since or 0.0
        again = any(run.count > 1 and run.first.at >= since for run in runs)
        return again and not voices.bad

    # --- keys -----------------------------------------------------------------------------------

    def _voices(self, since: float) -> _Voices:
        """The independent keys with a look since then."""
        said: dict[str, bool] = {}
        for (key, _), history in self._keys.items():
            run = history.newest
            if run is not None and run.last.at >= since:
                said[key] = said.get(key, False) or run.bad
        bad = [key for key, is_bad in said.items() if is_bad]
        fine = [key for key, is_bad in said.items() if not is_bad]
        spoken = frozenset(self._rules.standings.speakers(said, self._network))
        return _Voices(
            tuple(key for key in bad if key in spoken), tuple(key for key in fine if key in spoken)
        )

    def _awaited(self, voices: _Voices, since: float, now: float) -> int:
        """The independent keys that found the target fine lately and have not looked since then."""
        if not self._target:
            return 0
        looked = {*voices.bad, *voices.fine}
        fine: set[str] = set()
        for (key, _), history in self._keys.items():
            run = history.newest
            if run is not None and not run.bad and now - AWAITED < run.last.at < since:
                fine.add(key)
        spoken = self._rules.standings.speakers(looked, self._network, later=fine - looked)
        return sum(1 for key in spoken if key not in looked)

    def _keys_that_say(self, *, bad: bool) -> set[str]:
        """The keys whose newest look says so, since the event before was over."""
        found = ((key, history.newest) for (key, _), history in self._keys.items())
        return {
            key for key, run in found if run and run.bad is bad and run.last.at >= self._settled
        }

    def _agree(self, event: _Open, voices: _Voices) -> None:
        event.agreed.update(voices.bad)
        counts = len(voices.bad), len(voices.bad) + len(voices.fine)
        event.peak = max(event.peak, counts)
        event.is_behind = False

    def _speakers(self, keys: Collection[str]) -> set[str]:
        """Those of these keys that are independent, one of each origin."""
        return set(self._rules.standings.speakers(keys, self._network))

    def _changes(self, keys: Collection[str], *, to_bad: bool, since: float) -> Iterator[Bracket]:
        """When each of these keys saw its change, by most of its experiments."""
        found: dict[str, list[Bracket]] = defaultdict(list)
        for (key, _), history in self._keys.items():
            if key in keys and history.newest is not None and history.newest.bad is to_bad:
                change = history.change(to_bad=to_bad, since=since)
                if change is not None:
                    found[key].append(change)
        return (common(brackets).bracket for brackets in found.values())

    def _present_runs(self, keys: Collection[str], *, bad: bool) -> list[SignRun]:
        """The newest runs of these keys that say so."""
        found = (history.newest for (key, _), history in self._keys.items() if key in keys)
        return [run for run in found if run is not None and run.bad is bad]

    # --- telling --------------------------------------------------------------------------------

    def _event(self, event: _Open) -> TargetEvent:
        agree, able = event.peak
        confirmed = event.confirmed_at is not None
        return TargetEvent(
            kind=self._kind,
            target=self._target,
            country=self._network[0],
            asn=self._network[1],
            state=EventState.CONFIRMED if confirmed else EventState.SUSPECTED,
            began=event.began,
            ended=None,
            last_seen_at=event.last_seen_at,
            confirmed_at=event.confirmed_at,
            mechanisms=tuple(sorted(event.signs)),
            authority=_most(event.authorities),
            agree=agree,
            able=able,
            confidence=_together(event.confidence, event.agreed),
            evidence=event.examples(),
            last_look_at=self._newest,
        )


def _most(counted: Mapping[str, int]) -> str:
    return min(counted, key=lambda one: (-counted[one], one), default="")


def _together(confidence: Mapping[str, float], keys: Collection[str]) -> float:
    """Probability that not all of these independent keys are wrong."""
    wrong = 1.0
    for key in keys:
        wrong *= 1.0 - confidence.get(key, 0.0)
    return round(min(MOST_CONFIDENT, 1.0 - wrong), 3)
