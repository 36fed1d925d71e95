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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from statistics import median
from typing import Literal, NamedTuple

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from collector.api import paging, parameters, readers
from collector.api.http import Refused, instant_text
from collector.api.lists import ListFormat, RowsPage, cell, give_page
from collector.api.parameters import EVERY, Count, Cursor, Instant, Limit, PlaceParameters
from collector.care import Care, hour_of
from collector.service import SERVICE
from collector.standing import Standings
from collector.store import Operation
from collector.store.interface import Query
from collector.store.queries import Selection
from probe import targets
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
    "measurements", "first_seen", "last_seen", "coarse",
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


class CertificateSummary(msgspec.Struct, frozen=True, kw_only=True):
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


class InterceptionNetwork(msgspec.Struct, frozen=True, order=True):
    """A network on which it was served."""

    country: str
    asn: int
    network: str

    def __str__(self) -> str:
        return f"{self.country}/AS{self.asn}"


class InterceptionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    Attributes:
        authority, proof: The known authority, `verified` by its key or `claimed` by name; `unknown`
            otherwise.
        leaf: Only in the table by leaf. leaves: number of different ones.
        leaf_not_before, leaf_not_after: Earliest and latest. leaf_days: median validity.
        probes: Number of different probes that were served it.
        coarse: It was served on a network with few probes, so times are to the hour.
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
    coarse: bool


class InterceptionPage(RowsPage, frozen=True, kw_only=True):
    """The table of interceptions, or a page of it."""

    interceptions: list[InterceptionRow]
    next: str | None

    def table(self) -> list[Sequence[object]]:
        """The table with the columns that it always had."""
        return [COLUMNS, *(_cells(row) for row in self.interceptions)]


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
    coarse: bool = False

    @property
    def shown_last(self) -> float:
        """When it was last seen, as it is shown."""
        return hour_of(self.last) if self.coarse else self.last

    def add(self, seen: InterceptedLeaf, *, coarse: bool) -> None:
        """Add a served leaf to the sums."""
        self.coarse = self.coarse or coarse
        self.leaves.add(seen.leaf)
        self.names.add(seen.name)
        name = targets.networks().get(seen.asn, "") if coarse else seen.network
        self.networks[seen.country, seen.asn] = name
        self.probes.add(seen.key_id)
        self.measurements += seen.n
        self.first, self.last = min(self.first, seen.first), max(self.last, seen.last)


class InterceptionParameters(PlaceParameters, frozen=True, kw_only=True):
    """Which interceptions are wanted, and how; all in one page unless there is a limit."""

    since: Instant | None = None
    until: Instant | None = None
    by: Literal["intermediate", "leaf"] = "intermediate"
    min_probes: Count = 1
    limit: Limit | None = None
    cursor: Cursor | None = None
    format: ListFormat | None = None

    def selection(self) -> Selection:
        """The measurements that they select."""
        since = 0.0 if self.since is None else float(self.since)
        until = EVERY if self.until is None else float(self.until)
        return replace(self.place(), since=since, until=until)


# The newest first, and what tells rows of one time apart.
_Key = tuple[float, str, str]
_Keyed = tuple[_Key, InterceptionRow]


async def get_interceptions(request: web.Request) -> web.Response:
    """The table of interceptions: by intermediate, or with `by=leaf` by leaf."""
    asked = parameters.of(request, InterceptionParameters)
    return await give_page(request, await asked_page(request, asked), asked.format)


async def get_export(request: web.Request) -> web.Response:
    """The same table as a CSV file, unless JSON is asked for."""
    asked = parameters.of(request, InterceptionParameters)
    page = await asked_page(request, asked)
    return await give_page(request, page, asked.format, offered=("csv", "json"))


async def asked_page(request: web.Request, asked: InterceptionParameters) -> InterceptionPage:
    """The rows that a request selects, the most recently seen first."""
    service, least = request.app[SERVICE], readers.least_probes(request)

    async def make() -> list[_Keyed]:
        wanted = (await readers.care_for(request)).widened(asked.selection())
        seen, ders = await service.store.read(read_seen(wanted), slow=True)
        ends = (at for one in seen for at in (one.first, one.last))
        networks = [(one.country, one.asn) for one in seen for _ in range(2)]
        care = await readers.learned(
            request, {(*network, at) for network, at in zip(networks, ends, strict=True)}
        )
        by_leaf, fewest = asked.by == "leaf", asked.min_probes
        return await asyncio.to_thread(_keyed, seen, ders, care, by_leaf=by_leaf, least=fewest)

    alike = (asked.selection(), asked.by, asked.min_probes)
    found = await service.results.get(("table", alike, least), service.snapshots.revision, make)
    shown, following = paging.part(
        service,
        found,
        lambda one: one[0],
        tuple[float, str, str],
        cursor=asked.cursor,
        limit=asked.limit,
    )
    return InterceptionPage(interceptions=[row for _, row in shown], next=following)


def read_seen(
    wanted: Selection,
) -> Operation[tuple[list[InterceptedLeaf], Mapping[str, bytes]]]:
    """The leaves that were served in a selection, and the certificates of their chains."""
    params = {
        "target": wanted.target,
        "country": wanted.country,
        "asn": wanted.asn,
        "since": wanted.since,
        "until": wanted.until,
        "limit": SEEN_LIMIT,
    }
    rows = yield Query("forged_seen", params)
    seen = [InterceptedLeaf(*row) for row in rows]
    return seen, (yield from certificates_of(seen))


def certificates_of(seen: Iterable[InterceptedLeaf]) -> Operation[dict[str, bytes]]:
    """The certificates of these leaves, and those above them."""
    ders: dict[str, bytes] = {}
    for sha256 in sorted({one for row in seen for one in (row.leaf, row.above) if one}):
        if (der := (yield from _certificate(sha256))) is not None:
            ders[sha256] = der
    return ders


def summarise(
    seen: Iterable[InterceptedLeaf],
    ders: Mapping[str, bytes],
    *,
    by_leaf: bool,
    least: int = 1,
    care: Care | None = None,
) -> list[InterceptionRow]:
    """One row for each intermediate (or leaf), the most recently seen first."""
    found = _keyed(seen, ders, care or Care(1, Standings()), by_leaf=by_leaf, least=least)
    return [row for _, row in found]


def _keyed(
    seen: Iterable[InterceptedLeaf],
    ders: Mapping[str, bytes],
    care: Care,
    *,
    by_leaf: bool,
    least: int,
) -> list[_Keyed]:
    read = {sha256: one for sha256, der in ders.items() if (one := _read(der)) is not None}
    sums: dict[tuple[str, str], InterceptionTally] = defaultdict(InterceptionTally)
    for served in seen:
        tally = sums[_signer(served, read), served.leaf if by_leaf else ""]
        where = (served.country, served.asn)
        ends = served.first, served.last
        tally.add(served, coarse=any(care.is_coarse(*where, at) for at in ends))
    rows = [
        ((-tally.shown_last, signer, leaf), _row(signer, leaf, tally, read))
        for (signer, leaf), tally in sums.items()
        if len(tally.probes) >= least
    ]
    return sorted(rows, key=lambda one: one[0])


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
        leaf_not_before=_instant(
            min((one.not_before for one in leaves), default=None), coarse=row.coarse
        ),
        leaf_not_after=_instant(
            max((one.not_after for one in leaves), default=None), coarse=row.coarse
        ),
        leaf_days=round(median(days), 1) if days else None,
        names=sorted(row.names)[:NAMES_LIMIT],
        networks=[
            InterceptionNetwork(country, asn, row.networks[country, asn])
            for country, asn in sorted(row.networks)
        ],
        probes=len(row.probes),
        measurements=row.measurements,
        first_seen=instant_text(hour_of(row.first) if row.coarse else row.first),
        last_seen=instant_text(row.shown_last),
        coarse=row.coarse,
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


def _instant(at: datetime | None, *, coarse: bool = False) -> str | None:
    """An instant, on request to the hour: an interceptor makes leaves when they are needed."""
    if at is None:
        return None
    return at.strftime("%Y-%m-%dT%H:00:00Z" if coarse else "%Y-%m-%dT%H:%M:%SZ")


def _cells(row: InterceptionRow) -> list[object]:
    flat = asdict(row)
    flat |= {f"intermediate_{name}": value for name, value in asdict(row.intermediate).items()}
    flat["leaf_sha256"] = row.leaf.sha256 if row.leaf is not None else None
    return [cell(flat[name]) for name in COLUMNS]


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
