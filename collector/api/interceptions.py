"""The table of interceptions: forged certificates by intermediate or leaf, with names and networks.

Rule: authorities are identified again by their keys in the stored certificates, and the fields of a
certificate are read from its bytes; the claims of records are not used.
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
from typing import Literal, NamedTuple

from aiohttp import web

from collector.admin.export import csv_bytes
from collector.api import parameters
from collector.api.http import Refused, answer, instant_text
from collector.api.parameters import EVERY, Count, Instant, PlaceParameters
from collector.service import SERVICE, Service
from collector.store import Operation
from collector.store.interface import Query
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


class InterceptedLeaf(NamedTuple):
    """One leaf that one probe on one network was served for one name; `n` times."""

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
class CertificateSummary:
    """The fields of one certificate; only the subject or hash where it was not served."""

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
class InterceptionNetwork:
    """A network on which it was served."""

    country: str
    asn: int
    network: str


@dataclass(frozen=True, slots=True)
class InterceptionRow:
    """One row of the table.

    Attributes:
        authority, proof: The known authority, `verified` by its key or `claimed` by name; `unknown`
            otherwise.
        leaf: Only in the table by leaf. leaves: number of different ones.
        leaf_not_before, leaf_not_after: Earliest and latest. leaf_days: median validity.
        probes: Number of different probes that were served it.
    """

    authority: str
    proof: str | None
    intermediate: CertificateSummary
    leaf: CertificateSummary | None
    leaves: int
    leaf_not_before: str | None
    leaf_not_after: str | None
    leaf_days: float | None
    names: list[str]
    networks: list[InterceptionNetwork]
    probes: int
    measurements: int
    first_seen: str
    last_seen: str


@dataclass
class InterceptionTally:
    """The sums for one row of the table."""

    leaves: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    networks: dict[tuple[str, int], str] = field(default_factory=dict)
    probes: set[str] = field(default_factory=set)
    measurements: int = 0
    first: float = float("inf")
    last: float = 0.0

    def add(self, seen: InterceptedLeaf) -> None:
        """Add a served leaf to the sums."""
        self.leaves.add(seen.leaf)
        self.names.add(seen.name)
        self.networks[seen.country, seen.asn] = seen.network
        self.probes.add(seen.key_id)
        self.measurements += seen.n
        self.first, self.last = min(self.first, seen.first), max(self.last, seen.last)


class InterceptionParameters(PlaceParameters, frozen=True, kw_only=True):
    """Which interceptions are wanted, and how."""

    since: Instant | None = None
    until: Instant | None = None
    by: Literal["intermediate", "leaf"] = "intermediate"
    min_probes: Count = 1
    format: Literal["json", "csv"] | None = None


async def get_interceptions(request: web.Request) -> web.Response:
    """The table of interceptions: by intermediate, or with `by=leaf` by leaf; JSON or CSV."""
    asked = parameters.of(request, InterceptionParameters)
    rows = await table(request.app[SERVICE], asked)
    accepts_csv = asked.format is None and "text/csv" in request.headers.get("Accept", "")
    return csv_answer(rows) if asked.format == "csv" or accepts_csv else _json(rows)


def _json(rows: Sequence[InterceptionRow]) -> web.Response:
    return answer({"interceptions": [asdict(row) for row in rows]})


async def get_export(request: web.Request) -> web.Response:
    """The same table as a CSV file, unless JSON is asked for."""
    asked = parameters.of(request, InterceptionParameters)
    rows = await table(request.app[SERVICE], asked)
    return _json(rows) if asked.format == "json" else csv_answer(rows)


async def table(service: Service, asked: InterceptionParameters) -> list[InterceptionRow]:
    """The rows of the table that a request selects, the most recently seen first."""

    async def make() -> list[InterceptionRow]:
        seen, ders = await service.store.read(_seen(asked), slow=True)
        by_leaf, least = asked.by == "leaf", asked.min_probes
        return await asyncio.to_thread(summarise, seen, ders, by_leaf=by_leaf, least=least)

    return await service.results.get(("table", asked), service.snapshots.revision, make)


def _seen(
    asked: InterceptionParameters,
) -> Operation[tuple[list[InterceptedLeaf], Mapping[str, bytes]]]:
    wanted = asked.place()
    params = {
        "target": wanted.target,
        "country": wanted.country,
        "asn": wanted.asn,
        "since": 0.0 if asked.since is None else float(asked.since),
        "until": EVERY if asked.until is None else float(asked.until),
        "limit": SEEN_LIMIT,
    }
    rows = yield Query("forged_seen", params)
    seen = [InterceptedLeaf(*row) for row in rows]
    ders: dict[str, bytes] = {}
    for sha256 in sorted({one for row in seen for one in (row.leaf, row.above) if one}):
        if (der := (yield from _certificate(sha256))) is not None:
            ders[sha256] = der
    return seen, ders


def summarise(
    seen: Iterable[InterceptedLeaf], ders: Mapping[str, bytes], *, by_leaf: bool, least: int = 1
) -> list[InterceptionRow]:
    """One row for each intermediate (or leaf), the most recently seen first."""
    read = {sha256: one for sha256, der in ders.items() if (one := _read(der)) is not None}
    sums: dict[tuple[str, str], InterceptionTally] = defaultdict(InterceptionTally)
    for served in seen:
        sums[_signer(served, read), served.leaf if by_leaf else ""].add(served)
    shown = [(key, tally) for key, tally in sums.items() if len(tally.probes) >= least]
    shown.sort(key=lambda one: (-one[1].last, one[0]))
    return [_row(signer, leaf, tally, read) for (signer, leaf), tally in shown]


def _signer(seen: InterceptedLeaf, read: Mapping[str, Certificate]) -> str:
    """What groups leaves: the hash of the certificate above, or else the issuer that they name."""
    if seen.above:
        return seen.above
    leaf = read.get(seen.leaf)
    return leaf.issuer.rfc4514[:NAME_LIMIT] if leaf is not None else ""


def _read(der: bytes) -> Certificate | None:
    try:
        return certificate.read(der)
    except DerError:
        return None


def _row(
    signer: str, leaf: str, row: InterceptionTally, read: Mapping[str, Certificate]
) -> InterceptionRow:
    leaves = [read[one] for one in sorted(row.leaves) if one in read]
    authority, proof = _authority(read.get(signer), leaves)
    days = [(one.not_after - one.not_before).total_seconds() / 86400 for one in leaves]
    unserved = (
        CertificateSummary(subject=signer)
        if len(signer) != HASH_LENGTH
        else CertificateSummary(sha256=signer)
    )
    return InterceptionRow(
        authority=authority,
        proof=proof,
        intermediate=_about(read[signer]) if signer in read else unserved,
        leaf=_about(read[leaf]) if leaf in read else None,
        leaves=len(row.leaves),
        leaf_not_before=_instant(min((one.not_before for one in leaves), default=None)),
        leaf_not_after=_instant(max((one.not_after for one in leaves), default=None)),
        leaf_days=round(median(days), 1) if days else None,
        names=sorted(row.names)[:NAMES_LIMIT],
        networks=[
            InterceptionNetwork(country, asn, row.networks[country, asn])
            for country, asn in sorted(row.networks)
        ],
        probes=len(row.probes),
        measurements=row.measurements,
        first_seen=instant_text(row.first),
        last_seen=instant_text(row.last),
    )


def _authority(above: Certificate | None, leaves: Sequence[Certificate]) -> tuple[str, str | None]:
    """The known authority and its proof, identified from the stored certificates."""
    for leaf in leaves[:LEAVES_TRIED]:
        chain = [leaf.der, *([above.der] if above is not None else [])]
        judged = evaluate(chain, None, roots=Roots(()), now=datetime.now(UTC))
        if judged.authority is not None:
            return judged.authority.id, judged.authority.proof
    return "unknown", None


def _about(one: Certificate) -> CertificateSummary:
    return CertificateSummary(
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


def csv_answer(rows: Sequence[InterceptionRow]) -> web.Response:
    """The table as a CSV file."""
    body = csv_bytes([COLUMNS, *(_cells(row) for row in rows)])
    disposition = 'attachment; filename="interceptions.csv"'
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": disposition}
    return web.Response(body=body, headers=headers)


def _cells(row: InterceptionRow) -> list[object]:
    flat = asdict(row)
    flat |= {f"intermediate_{name}": value for name, value in asdict(row.intermediate).items()}
    flat["leaf_sha256"] = row.leaf.sha256 if row.leaf is not None else None
    flat["names"] = " ".join(row.names)
    flat["networks"] = " ".join(f"{one.country}/AS{one.asn}" for one in row.networks)
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
