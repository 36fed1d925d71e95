"""What an export reads, as operations: rows with their keys, and the secrets of releases.

Rule: keys leave the store only as pseudonyms. The secret of a release makes them; it is made at
random when the release is named for the first time, and stays in this store.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

from collector.store.interface import Execute, Operation, Query
from collector.store.queries import Selection, first_seq

# Releases that the collector itself names: for what it exports in public, and for a lake. Operators
# cannot name them, because of the slash.
PUBLIC, LAKE = "public/", "lake/"
_SECRET = "release "  # noqa: S105 - the beginning of a name
_ERASED = "erased "


class ExportRow(NamedTuple):
    """One record's row with everything that an export is made of; `key_id` is never written."""

    seq: int
    id: str
    run: str
    key_id: str
    voting: int
    counted: int
    doubts: str
    unjudged: str
    role: str
    lab: int
    experiment: str
    input: str
    target: str
    category: str
    at: float
    started_at: str
    received_at: int
    country: str
    asn: int
    region: str
    network: str
    claimed_country: str
    claimed_asn: int
    version: str
    outcome: str
    mechanisms: str
    stage: str
    confidence: float
    verdict: str
    ruleset: str
    authority: str
    claim: str
    claim_mechanisms: str
    rate_target: float | None
    rate_reference: float | None
    anchors_foreign: float | None
    anchors_domestic: float | None
    line_faults: str
    line_round_trip: float | None
    line_loss: float | None
    made_from: str = ""


def rows_after(cursor: int, selection: Selection, *, limit: int) -> Operation[Sequence[ExportRow]]:
    """Up to `limit` rows after a number, in the order of their arrival."""
    params = {**asdict(selection), "floor": first_seq(selection.since)}
    rows = yield Query("export_page", {**params, "cursor": cursor, "limit": limit})
    return [ExportRow(*row) for row in rows]


def count(selection: Selection) -> Operation[int]:
    """How many records are selected."""
    params = {**asdict(selection), "floor": first_seq(selection.since)}
    rows = yield Query("export_count", params)
    return int(rows[0][0])


def release_secret(release: str) -> Operation[bytes]:
    """The secret of a release, made when it is named for the first time."""
    name = _SECRET + release
    yield Execute("meta_add", [{"name": name, "value": secrets.token_hex(32)}])
    if release.startswith(PUBLIC):
        # The operator cannot link the public exports of the past any more either.
        yield Execute("public_releases_drop", [{"name": name}])
    rows = yield Query("meta_get", {"name": name})
    return bytes.fromhex(rows[0][0])


def pseudonym(secret: bytes, text: str) -> str:
    """The word for a key, or for what keys share, in one release."""
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()[:20]


def note_erased(key_id: str, now: float) -> Operation[None]:
    """Keep the pseudonym of a key that is erased, where a lake may have its records."""
    rows = yield Query("meta_get", {"name": _SECRET + LAKE})
    if rows:
        name = _ERASED + pseudonym(bytes.fromhex(rows[0][0]), f"key {key_id}")
        value = f"{int(now)} {secrets.token_hex(4)}"
        yield Execute("meta_put", [{"name": name, "value": value}])


def erased_pseudonyms() -> Operation[dict[str, str]]:
    """The pseudonyms in lakes of all keys that were erased, with a mark of the last erasure.

    A key may be enrolled again, or imported again, and erased again.
    """
    rows = yield Query("meta_values_like", {"pattern": f"{_ERASED}%"})
    return {row[0].removeprefix(_ERASED): row[1] for row in rows}
