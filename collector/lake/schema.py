"""The columns of a lake's tables, and how they may change.

Rules: a version is a number in each file's place in the manifest. A new version may add columns,
which older files lack (engines read them as null); a column keeps its name, type and meaning. What
cannot be told so gets a new table.

`measurements` has the columns of an export. `steps` has a row for each step of a record, number 1
and on, and a row number 0 with the rest of the record, so that the record comes back from its rows.
`verdicts` has what other rules say of the same records, beside what was said when they were judged.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from collector.admin.export_columns import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
# A query about a range of targets reads few of these.
ROWS_IN_GROUP = 65_536
# What engines take from the path of a file.
PARTITIONS = ("dt", "country")

_STEP_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "id": "text",
        "number": "whole",
        "target": "text",
        "measured_at": "time",
        "op": "text",
        "role": "text",
        "hop": "whole",
        "try": "whole",
        "at": "number",
        "elapsed": "number",
        "failure": "text",
        "address": "text",
        "port": "whole",
        "name": "text",
        "resolver": "text",
        "transport": "text",
        "type": "text",
        "answers": "text",
        "status": "whole",
        "bytes_out": "whole",
        "bytes_in": "whole",
        "leaf": "text",
        "intermediate": "text",
        "trusted": "flag",
        "reason": "text",
        "authority": "text",
        "proof": "text",
        "step": "text",
    }
)
_OF_TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "measurements": {
            **{name: column.type for name, column in COLUMNS.items() if name != "country"},
            # By the operator, who answers for it: what it says of controls is believed.
            "imported": "flag",
        },
        "steps": _STEP_TYPES,
        "certificates": {
            "sha256": "text",
            "sha1": "text",
            "subject": "text",
            "issuer": "text",
            "serial": "text",
            "not_before": "time",
            "not_after": "time",
            "names": "text",
            "der": "bytes",
        },
        "votes": {
            "id": "text",
            "key": "text",
            "origin": "text",
            "standing": "text",
            "target": "text",
            "category": "text",
            "asn": "whole",
            "experiment": "text",
            "measured_at": "time",
            "outcome": "text",
            "mechanisms": "text",
        },
        "verdicts": {
            "id": "text",
            "target": "text",
            "measured_at": "time",
            "experiment": "text",
            "ruleset": "text",
            "outcome": "text",
            "mechanisms": "text",
            "confidence": "number",
            "rule": "text",
            "authority": "text",
            "was": "text",
            "was_ruleset": "text",
        },
        "events": {
            "id": "text",
            "kind": "text",
            "target": "text",
            "category": "text",
            "asn": "whole",
            "state": "text",
            "began_after": "time",
            "began_by": "time",
            "ended_after": "time",
            "ended_by": "time",
            "last_seen_at": "time",
            "confirmed_at": "time",
            "published_at": "time",
            "mechanisms": "text",
            "authority": "text",
            "agree": "whole",
            "able": "whole",
            "confidence": "number",
            "evidence": "text",
            "sources": "text",
            "wave": "text",
            "reason": "text",
            "revision": "whole",
        },
    }
)
# By which a file's rows are sorted.
ORDER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "measurements": ("target", "measured_at", "id"),
        "steps": ("target", "measured_at", "id", "number"),
        "certificates": ("sha256",),
        "verdicts": ("target", "measured_at", "id"),
        "votes": ("target", "asn", "measured_at", "id"),
        "events": ("target", "asn", "began_by", "id"),
    }
)


def types(table: str) -> Mapping[str, str]:
    """The columns of a table and their types, without the partitions."""
    return _OF_TABLES[table]


def schema(table: str) -> "pa.Schema":
    """The same for pyarrow."""
    import pyarrow as pa

    known = {
        "text": pa.string(),
        "flag": pa.bool_(),
        "whole": pa.int64(),
        "number": pa.float64(),
        "time": pa.timestamp("ms", tz="UTC"),
        "bytes": pa.binary(),
    }
    return pa.schema([(name, known[type_]) for name, type_ in types(table).items()])
