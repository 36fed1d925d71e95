"""What others concluded from the same evidence, beside what we conclude; and whose keys were seen.

Counts alone are kept, so that memory does not grow with an archive: for each pair of conclusions
and each deciding rule its number, with one example.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from probe.escape import cell
from probe.model import Quic, Record, Tls, Verdict

NO_RULE = "none"
# So many names and networks of one authority are listed.
_MANY = 10_000
# Kinds of experiments that are counted apart; what a hostile archive adds is counted as `others`.
_KINDS = 200


@dataclass(slots=True)
class Difference:
    """How often one pair of conclusions had one reason.

    Attributes:
        same: Both say the same, as far as the words can.
        reason: The sentence of the deciding rule in the first of them. place, input: where it is.
    """

    said: str
    outcome: str
    rule: str
    same: bool
    reason: str
    place: str
    input: str
    count: int = 0


@dataclass(slots=True)
class AuthoritySeen:
    """A known interception authority whose signature verified.

    Attributes:
        first, last: When, of all measurements with it.
    """

    measurements: int = 0
    names: set[str] = field(default_factory=set)
    networks: set[tuple[str, int]] = field(default_factory=set)
    first: str = ""
    last: str = ""


@dataclass(slots=True)
class Comparison:
    """The counts of one or more archives.

    Attributes:
        agrees: Whether their word and our outcome say the same.
    """

    agrees: Callable[[str, str], bool]
    judged: int = 0
    refused: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    pairs: dict[tuple[str, str, str], Difference] = field(default_factory=dict)
    authorities: dict[str, AuthoritySeen] = field(default_factory=dict)

    def add(self, record: Record, said: str, verdict: Verdict, place: str) -> None:
        """Count one measurement."""
        self.judged += 1
        deciding = verdict.rules[0] if verdict.rules else None
        rule = deciding.id if deciding is not None else NO_RULE
        key = (said, verdict.outcome.value, rule)
        found = self.pairs.get(key)
        if found is None:
            reason = deciding.reason if deciding is not None else ""
            same = self.agrees(said, verdict.outcome.value)
            found = self.pairs[key] = Difference(*key, same, reason, place, record.input)
        found.count += 1
        for authority in _verified(record):
            self._add_authority(authority, record)

    def leave_out(self, kind: str) -> None:
        """Count one that has no counterpart."""
        known = kind in self.left_out or len(self.left_out) < _KINDS
        self.left_out[kind if known else "others"] += 1

    def _add_authority(self, authority: str, record: Record) -> None:
        seen = self.authorities.setdefault(authority, AuthoritySeen())
        seen.measurements += 1
        if len(seen.names) < _MANY:
            seen.names.add(record.input)
        if len(seen.networks) < _MANY:
            seen.networks.add((record.vantage.country or "ZZ", record.vantage.asn or 0))
        seen.first = min(seen.first or record.started_at, record.started_at)
        seen.last = max(seen.last, record.started_at)

    def table(self) -> list[tuple[str, str, int]]:
        """Their word, our outcome, and how often, the most frequent first."""
        counts: Counter[tuple[str, str]] = Counter()
        for one in self.pairs.values():
            counts[one.said, one.outcome] += one.count
        return [(*pair, count) for pair, count in counts.most_common()]

    def rows(self) -> list[Difference]:
        """Every pair of conclusions with its reasons, the most frequent first."""
        return sorted(self.pairs.values(), key=lambda one: (-one.count, one.said, one.rule))

    def differences(self) -> list[Difference]:
        """Those where the two do not say the same."""
        return [one for one in self.rows() if not one.same]


def _verified(record: Record) -> set[str]:
    """The interception authorities whose signature verified in a record."""
    shaken = [s.trust for s in record.steps if isinstance(s, Tls | Quic) and s.trust is not None]
    known = [trust.authority for trust in shaken if trust.authority is not None]
    return {one.id for one in known if (one.kind, one.proof) == ("interception", "verified")}


# --- telling -----------------------------------------------------------------------------------


def as_json(compared: Comparison) -> dict[str, object]:
    """The counts as one object."""
    return {
        "judged": compared.judged,
        "refused": compared.refused,
        "left_out": dict(compared.left_out.most_common()),
        "table": [
            {"said": said, "outcome": outcome, "count": count}
            for said, outcome, count in compared.table()
        ],
        "reasons": [_named(one) for one in compared.rows()],
        "authorities": [
            {
                "id": id_,
                "measurements": one.measurements,
                "names": len(one.names),
                "networks": sorted(f"{country} AS{asn}" for country, asn in one.networks),
                "first": one.first,
                "last": one.last,
            }
            for id_, one in sorted(compared.authorities.items())
        ],
    }


_COLUMNS = ("said", "outcome", "same", "count", "rule", "reason", "input", "place")


def _named(one: Difference) -> dict[str, object]:
    return {name: getattr(one, name) for name in _COLUMNS}


def as_csv(compared: Comparison) -> Iterator[str]:
    """The pairs with their reasons as lines of CSV, the names of the columns first."""
    for row in (_COLUMNS, *(_named(one).values() for one in compared.rows())):
        line = io.StringIO()
        texts = (cell(one) if isinstance(one, str) else one for one in row)
        csv.writer(line, lineterminator="").writerow(texts)
        yield line.getvalue()
