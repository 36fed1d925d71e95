"""What an operator looks at in a store: what is set aside, doubted, or claimed in contradiction."""

from typing import NamedTuple

from collector.store import Operation, Query
from collector.store.interface import Rows

# Doubts and contradictions are looked for among so many of the newest records: a look at all of a
# large store would take minutes.
AMONG = 20_000
ROWS = 100


class SetAside(NamedTuple):
    """What one command set aside: the name that was given, of a key or a branch, and its keys."""

    subject: str
    since: float
    reason: str
    made_at: int
    keys: int


class Doubted(NamedTuple):
    """Records of one key with the same doubts."""

    key_id: str
    doubts: str
    records: int
    newest: int


class Contradicted(NamedTuple):
    """Records of one key that claim another network than their connection's."""

    key_id: str
    claimed: str
    network: str
    voting: bool
    records: int


def set_aside() -> Operation[list[SetAside]]:
    """Everything that is set aside, the newest first."""
    return [SetAside(*row) for row in (yield Query("set_aside"))]


def doubted() -> Operation[list[Doubted]]:
    """The keys whose evidence was doubted lately, those with the most records first."""
    return [Doubted(*row) for row in (yield from _lately("doubted_lately"))]


def contradicted() -> Operation[list[Contradicted]]:
    """The keys whose claims were contradicted lately, those with the most records first."""
    rows = yield from _lately("contradicted_lately")
    return [
        Contradicted(
            row[0], _network(row[1], row[2]), _network(row[3], row[4]), bool(row[5]), row[6]
        )
        for row in rows
    ]


def is_known(subject: str) -> Operation[bool]:
    """Whether a name stands for a key or a branch."""
    keys = yield Query("keys_named", {"subject": subject})
    return bool(keys or (yield Query("branch_known", {"branch": subject})))


def _lately(name: str) -> Operation[Rows]:
    return (yield Query(name, {"among": AMONG, "limit": ROWS}))


def _network(country: str, asn: int) -> str:
    return f"{country} AS{asn}" if asn else country
