"""Whose votes count, and which of them are independent: the same for metrics and for events.

Rule: keys that an operator invited are trusted, what he imported, and the first key on the
collector's own machine. Other keys are strangers until they have agreed with trusted ones on seven
days; a day on which no trusted key measured the same counts half. Of keys that share an origin (a
/24 or /48 of enrolment or of measuring, or in its first week an invite) only the oldest one speaks,
so that one origin has one vote however many keys it has. A key without a voucher says nothing
alone, also when it has earned trust. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from collector.places import NetworkKey

DAY = 86_400.0
# How a key was enrolled.
INVITED, OPEN, OWN, BEFORE, IMPORTED = "invite", "open", "own", "before", "import"
YOUNG_SECONDS = 7 * DAY
# Days of agreement that a stranger needs, and the share of targets on which it has to agree.
GOOD_DAYS = 7.0
UNOPPOSED = 0.5
AGREEMENT = 0.9
# Conduct is judged over this time.
CONDUCT_SECONDS = 30 * DAY

Label = tuple[str, str]
Standing = Literal["vouched", "earned", "stranger"]


class KeyStanding(NamedTuple):
    """What decides about one key.

    Attributes:
        agreed_days: Days on which it agreed with trusted keys. free_days: without comparison.
        compared, agreed: Numbers of targets in these days.
    """

    key_id: str
    role: str = "probe"
    way: str = BEFORE
    branch: str = ""
    origin: str = ""
    enrolled_at: float = 0.0
    agreed_days: int = 0
    free_days: int = 0
    compared: int = 0
    agreed: int = 0

    @property
    def agreement(self) -> float | None:
        """The share of compared targets on which it agrees; None when there are none."""
        return self.agreed / self.compared if self.compared else None

    def is_trusted(self, now: float) -> bool:
        """Whether its votes count."""
        if self.way != OPEN:
            return True
        if self.enrolled_at > now - YOUNG_SECONDS:
            return False
        good = self.agreed_days + UNOPPOSED * self.free_days
        return good >= GOOD_DAYS and self.agreed >= AGREEMENT * self.compared


class Standings:
    """The standing of every key of a store at one time."""

    def __init__(
        self,
        keys: Iterable[KeyStanding] = (),
        places: Iterable[tuple[str, str, int, str]] = (),
        *,
        now: float = 0.0,
        lab: bool = False,
    ) -> None:
        self._keys = {one.key_id: one for one in keys}
        self._places: dict[str, list[tuple[NetworkKey, str]]] = defaultdict(list)
        for key_id, country, asn, origin in places:
            self._places[key_id].append(((country, asn), origin))
        self._now = now
        self._lab = lab
        self._labels: dict[tuple[str, NetworkKey], frozenset[Label]] = {}

    def is_trusted(self, key_id: str) -> bool:
        """Whether a key's votes count; those of an unknown key, such as an erased one, do not."""
        known = self._keys.get(key_id)
        return self._lab or (known is not None and known.is_trusted(self._now))

    @property
    def trusted(self) -> frozenset[str]:
        """The known keys whose votes count."""
        return frozenset(filter(self.is_trusted, self._keys))

    def word(self, key_id: str) -> Standing:
        """Why its votes count, or that they do not."""
        known = self._keys.get(key_id)
        if self._lab or (known is not None and known.way != OPEN):
            return "vouched"
        return "earned" if self.is_trusted(key_id) else "stranger"

    def speakers(
        self, keys: Iterable[str], network: NetworkKey, *, later: Iterable[str] = ()
    ) -> Iterator[str]:
        """The trusted keys among these that are independent of each other, the oldest first.

        `network` is where they vote; ASN 0 stands for all networks of the country. Keys in `later`
        speak for their origin only where none of `keys` does. A key without a voucher says
        nothing alone.
        """
        found = tuple(self._independent(keys, network, later))
        alone = self._keys.get(found[0]) if len(found) == 1 else None
        return iter(() if alone and alone.way == OPEN and not self._lab else found)

    def _independent(
        self, keys: Iterable[str], network: NetworkKey, later: Iterable[str]
    ) -> Iterator[str]:
        taken: set[Label] = set()
        first = sorted(filter(self.is_trusted, set(keys)), key=self._seniority)
        last = sorted(filter(self.is_trusted, set(later)), key=self._seniority)
        for key_id in (*first, *last):
            labels = self.labels(key_id, network)
            if taken.isdisjoint(labels):
                taken |= labels
                yield key_id

    def independent(self, keys: Iterable[str], network: NetworkKey) -> int:
        """How many independent, trusted keys there are among these."""
        return sum(1 for _ in self.speakers(keys, network))

    def _seniority(self, key_id: str) -> tuple[float, str]:
        known = self._keys.get(key_id)
        return (known.enrolled_at if known else 0.0), key_id

    def labels(self, key_id: str, network: NetworkKey) -> frozenset[Label]:
        """What a key may share with others; of keys that share any of it one speaks."""
        found = self._labels.get((key_id, network))
        if found is None:
            found = frozenset(self._make_labels(key_id, network))
            self._labels[key_id, network] = found
        return found

    def _make_labels(self, key_id: str, network: NetworkKey) -> Iterator[Label]:
        """What a key shares with others of its origin."""
        known = self._keys.get(key_id)
        if known is None or self._lab:
            return
        here = [
            origin
            for (country, asn), origin in self._places.get(key_id, ())
            if origin and country == network[0] and network[1] in {0, asn}
        ]
        yield from (("prefix", origin) for origin in here)
        # Invited people may have met where they enrolled. Strangers may not, and those of unknown
        # origin share it.
        if known.way == OPEN or (known.origin and not here):
            yield "prefix", known.origin
        if known.branch and known.enrolled_at > self._now - YOUNG_SECONDS:
            yield "branch", known.branch


# Every key is trusted and independent: for a laboratory, and for data without enrolment.
EVERYBODY = Standings(lab=True)


def aggregate(rows: Iterable[tuple[str, int, int, int]]) -> Mapping[str, tuple[int, int, int, int]]:
    """The sums of `conduct` rows (key, voted, compared, agreed) by key.

    They are days of agreement, days without comparison, targets compared, and targets agreed.
    """
    found: dict[str, tuple[int, int, int, int]] = {}
    for key_id, voted, compared, agreed in rows:
        good, free, every, same = found.get(key_id, (0, 0, 0, 0))
        is_good = compared > 0 and agreed >= AGREEMENT * compared
        is_free = compared == 0 and voted > 0
        found[key_id] = (good + is_good, free + is_free, every + compared, same + agreed)
    return found
