"""Who was seen to forge certificates: by authority and intermediate, for which names, where, when.

Rule: a certificate speaks for itself. Authorities are recognised again from the certificates that
are kept, by their keys, whatever a record claims; what a certificate says is read from its bytes.
"""

import asyncio
import hashlib
import re
import ssl
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple

from aiohttp import web

from collector.admin.export import csv_bytes
from collector.api import query
from collector.api.http import Refused, answer
from collector.service import SERVICE
from collector.store import Operation
from collector.store.interface import Query
from collector.store.queries import Selection
from probe.certificates import certificate
from probe.certificates.certificate import Certificate
from probe.certificates.der import DerError
from probe.certificates.trust import Roots, evaluate

SEEN_LIMIT = 20_000
NAMES_LIMIT, NAME_LIMIT, HASH_LENGTH = 500, 256, 64
LEAVES_TRIED = 4
_FILE = re.compile(r"([0-9a-f]{64})\.pem")
COLUMNS = (
    "authority", "proof", "intermediate_sha256", "intermediate_sha1", "intermediate_subject",
    "intermediate_issuer", "intermediate_key_sha256", "intermediate_serial",
    "intermediate_not_before", "intermediate_not_after", "leaf_sha256", "leaves",
    "leaf_not_before", "leaf_not_after", "leaf_days", "names", "networks", "probes",
    "measurements", "first_seen", "last_seen",
)  # fmt: skip


class Seen(NamedTuple):
    """One leaf, as one probe on one network was served it for one name."""

    leaf: str
    above: str
    name: str
    country: str
    asn: int
    network: str
    key_id: str
    first: float
    last: float
    n: int


@dataclass(frozen=True, slots=True)
class About:
    """What one certificate says of itself; only a subject where it was not served."""

    sha256: str | None = None
    sha1: str | None = None
    subject: str | None = None
    issuer: str | None = None
    key_sha256: str | None = None
    serial: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    pem: str | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Where it was seen."""

    country: str
    asn: int
    network: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        authority, proof: The known authority, recognised by our own eyes: `verified` by its key,
            `claimed` by name; `unknown` otherwise.
        leaf: Only in the table by leaf. leaves: how many different ones.
        leaf_not_before, leaf_not_after: The earliest and the latest. leaf_days: median validity.
        probes: How many different probes were served it.
    """

    authority: str
    proof: str | None
    intermediate: About
    leaf: About | None
    leaves: int
    leaf_not_before: str | None
    leaf_not_after: str | None
    leaf_days: float | None
    names: list[str]
    networks: list[Network]
    probes: int
    measurements: int
    first_seen: str
    last_seen: str


@dataclass
class Row:
    """One line of the table while it is summed up."""

    leaves: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    networks: dict[tuple[str, int], str] = field(default_factory=dict)
    probes: set[str] = field(default_factory=set)
    measurements: int = 0
    first: float = float("inf")
    last: float = 0.0

    def add(self, seen: Seen) -> None:
        """Count one more."""
        self.leaves.add(seen.leaf)
        self.names.add(seen.name)
        self.networks[seen.country, seen.asn] = seen.network
        self.probes.add(seen.key_id)
        self.measurements += seen.n
        self.first, self.last = min(self.first, seen.first), max(self.last, seen.last)


async def get_interceptions(request: web.Request) -> web.Response:
    """The table of interceptions: by intermediate, or with `by=leaf` by leaf; JSON or CSV."""
    asked = request.query
    by_leaf = asked.get("by", "intermediate") == "leaf"
    if asked.get("by", "leaf") not in {"leaf", "intermediate"}:
        raise Refused(400, "malformed", "by: intermediate or leaf expected")
    found = await table(request, by_leaf=by_leaf)
    if _wants_csv(request):
        return csv_answer(found)
    return _json(found)


def _json(found: Sequence[Line]) -> web.Response:
    return answer({"interceptions": [asdict(line) for line in found]})


async def get_export(request: web.Request) -> web.Response:
    """The same table as a CSV file, unless JSON is asked for."""
    by_leaf = request.query.get("by") == "leaf"
    found = await table(request, by_leaf=by_leaf)
    wants_json = request.query.get("format") == "json"
    return _json(found) if wants_json else csv_answer(found)


async def table(request: web.Request, *, by_leaf: bool) -> list[Line]:
    """The lines of the table that a request selects, the most recently seen first."""
    service, asked = request.app[SERVICE], request.query
    least = query.number(asked, "min_probes", 1)
    seen, ders = await service.store.read(_seen(query.selection(asked)), slow=True)
    return await asyncio.to_thread(summarise, seen, ders, by_leaf=by_leaf, least=least)


def _seen(wanted: Selection) -> Operation[tuple[list[Seen], Mapping[str, bytes]]]:
    params = {
        "target": wanted.target,
        "country": wanted.country,
        "asn": wanted.asn,
        "since": wanted.since,
        "until": wanted.until,
        "limit": SEEN_LIMIT,
    }
    rows = yield Query("forged_seen", params)
    seen = [Seen(*row) for row in rows]
    ders: dict[str, bytes] = {}
    for sha256 in sorted({one for row in seen for one in (row.leaf, row.above) if one}):
        if (der := (yield from _certificate(sha256))) is not None:
            ders[sha256] = der
    return seen, ders


def summarise(
    seen: Iterable[Seen], ders: Mapping[str, bytes], *, by_leaf: bool, least: int = 1
) -> list[Line]:
    """One line for each intermediate (or leaf), the most recently seen first."""
    read = {sha256: one for sha256, der in ders.items() if (one := _read(der)) is not None}
    rows: dict[tuple[str, str], Row] = defaultdict(Row)
    for look in seen:
        rows[_signer(look, read), look.leaf if by_leaf else ""].add(look)
    known = [(key, row) for key, row in rows.items() if len(row.probes) >= least]
    known.sort(key=lambda one: (-one[1].last, one[0]))
    return [_line(signer, leaf, row, read) for (signer, leaf), row in known]


def _signer(seen: Seen, read: Mapping[str, Certificate]) -> str:
    """What groups leaves: the certificate above them, or the name they say they are signed by."""
    if seen.above:
        return seen.above
    leaf = read.get(seen.leaf)
    return leaf.issuer.rfc4514[:NAME_LIMIT] if leaf is not None else ""


def _read(der: bytes) -> Certificate | None:
    try:
        return certificate.read(der)
    except DerError:
        return None


def _line(signer: str, leaf: str, row: Row, read: Mapping[str, Certificate]) -> Line:
    leaves = [read[one] for one in sorted(row.leaves) if one in read]
    authority, proof = _authority(read.get(signer), leaves)
    days = [(one.not_after - one.not_before).total_seconds() / 86400 for one in leaves]
    nobody = About(subject=signer) if len(signer) != HASH_LENGTH else About(sha256=signer)
    return Line(
        authority=authority,
        proof=proof,
        intermediate=_about(read[signer]) if signer in read else nobody,
        leaf=_about(read[leaf]) if leaf in read else None,
        leaves=len(row.leaves),
        leaf_not_before=_instant(min((one.not_before for one in leaves), default=None)),
        leaf_not_after=_instant(max((one.not_after for one in leaves), default=None)),
        leaf_days=round(median(days), 1) if days else None,
        names=sorted(row.names)[:NAMES_LIMIT],
        networks=[
            Network(country, asn, row.networks[country, asn])
            for country, asn in sorted(row.networks)
        ],
        probes=len(row.probes),
        measurements=row.measurements,
        first_seen=query.instant_text(row.first),
        last_seen=query.instant_text(row.last),
    )


def _authority(above: Certificate | None, leaves: Sequence[Certificate]) -> tuple[str, str | None]:
    """Which known authority is behind it, by its key: recognised from what is kept."""
    for leaf in leaves[:LEAVES_TRIED]:
        chain = [leaf.der, *([above.der] if above is not None else [])]
        judged = evaluate(chain, None, roots=Roots(()), now=datetime.now(UTC))
        if judged.authority is not None:
            return judged.authority.id, judged.authority.proof
    return "unknown", None


def _about(one: Certificate) -> About:
    return About(
        sha256=one.sha256,
        sha1=one.sha1,
        subject=one.subject.rfc4514[:NAME_LIMIT],
        issuer=one.issuer.rfc4514[:NAME_LIMIT],
        key_sha256=one.spki_sha256,
        serial=one.serial[:HASH_LENGTH],
        not_before=_instant(one.not_before),
        not_after=_instant(one.not_after),
        pem=f"/v1/certificates/{one.sha256}.pem",
    )


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _wants_csv(request: web.Request) -> bool:
    form = request.query.get("format", "")
    if form not in {"", "json", "csv"}:
        raise Refused(400, "malformed", "format: json or csv expected")
    return form == "csv" or (not form and "text/csv" in request.headers.get("Accept", ""))


def csv_answer(found: Sequence[Line]) -> web.Response:
    """The table as a file for a spreadsheet."""
    body = csv_bytes([COLUMNS, *(_cells(line) for line in found)])
    disposition = 'attachment; filename="interceptions.csv"'
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": disposition}
    return web.Response(body=body, headers=headers)


def _cells(line: Line) -> list[object]:
    flat = asdict(line)
    flat |= {f"intermediate_{name}": value for name, value in asdict(line.intermediate).items()}
    flat["leaf_sha256"] = line.leaf.sha256 if line.leaf is not None else None
    flat["names"] = " ".join(line.names)
    flat["networks"] = " ".join(f"{one.country}/AS{one.asn}" for one in line.networks)
    return [flat[name] for name in COLUMNS]


async def get_certificate(request: web.Request) -> web.Response:
    """One certificate by its SHA-256, as PEM."""
    named = _FILE.fullmatch(request.match_info["file"])
    found = None
    if named is not None:
        found = await request.app[SERVICE].store.read(_certificate(named[1]))
    if found is None or named is None or hashlib.sha256(found).hexdigest() != named[1]:
        raise Refused(404, "unknown_certificate", "no certificate with this SHA-256 is kept here")
    headers = {"Content-Type": "application/x-pem-file"}
    return web.Response(text=ssl.DER_cert_to_PEM_cert(found), headers=headers)


def _certificate(sha256: str) -> Operation[bytes | None]:
    rows = yield Query("certificate_get", {"sha256": sha256})
    return bytes(rows[0][0]) if rows else None
