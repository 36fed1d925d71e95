"""The load of the ingest benchmark: records as probes send them, and clients that send them.

The records are golden cases (`tests/cases/web`), with the certificates that they leave out: about
5 KB each. A third are interfered with, by the rules; the others are pages that loaded.
"""

import asyncio
import base64
import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from collector.store.measurements import INTERFERENCE
from probe import codec
from probe.api_types import BatchReply, EnrolReply, EnrolRequest
from probe.judge import judge
from probe.lab import cases
from probe.lab.pki import Pki
from probe.model import Record, Role, Tls
from tests.collector.harness import KZ

CASES = Path(__file__).parents[1] / "tests" / "cases" / "web"
# Of the golden cases those that are about as large as a record of a run.
SMALLEST, LARGEST = 1_500, 5_000
# So many different chains; making them takes time.
CHAINS = 200
JSON = {"Content-Type": "application/json"}


@cache
def _cases() -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Records of pages that loaded, and of interference."""
    read = (cases.read(path).record for path in sorted(CASES.glob("*.json")))
    found = [one for one in read if SMALLEST < len(codec.encode(one)) < LARGEST]
    fine, bad = [], []
    for number, one in enumerate(found):
        outcome = judge(_with_certificates(one, number)).outcome
        if outcome in INTERFERENCE:
            bad.append(one)
        elif outcome == "ok":
            fine.append(one)
    return tuple(fine), tuple(bad)


def _with_certificates(record: Record, site: int) -> Record:
    """A record with the chain that its target served, as a probe sends it."""
    certs = _chain(site % CHAINS)
    steps = tuple(
        replace(step, chain=tuple(certs))
        if isinstance(step, Tls) and step.failure is None and step.role is Role.TARGET
        else step
        for step in record.steps
    )
    return replace(record, steps=steps, certs=certs)


@cache
def _chain(site: int) -> dict[str, str]:
    served = _pki().serve("trusted", (f"site{site}.example",))
    found = [
        one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(served.chain)
    ]
    return {hashlib.sha256(der).hexdigest(): base64.b64encode(der).decode() for der in found}


@cache
def _pki() -> Pki:
    return Pki(datetime.now(UTC) - timedelta(days=30))


def made(number: int) -> Record:
    """One record; every third is interfered with."""
    fine, bad = _cases()
    chosen = fine[number % len(fine)] if number % 3 else bad[number // 3 % len(bad)]
    started = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    own = str(uuid.uuid4())
    named = _named(chosen, f"site{number % 997}.example")
    made_there = _with_certificates(named, number % 997)
    return replace(made_there, id=own, run=own, started_at=started, lab=True, vantage=KZ)


def _named(record: Record, name: str) -> Record:
    """The same measurement of another site."""
    host = urlsplit(record.input).hostname or ""
    return codec.decode(codec.encode(record).replace(host.encode(), name.encode()))


def check() -> float:
    """The share of records that are interfered with, by the rules; an error if it is no third."""
    share = sum(judge(made(n)).outcome in INTERFERENCE for n in range(300)) / 300
    if not 0.3 < share < 0.37:
        raise RuntimeError(f"a third should be interfered with, not {share:.0%}")
    return share


@dataclass
class LoadClient:
    """One probe with its batches; `seconds` has the time of each request."""

    url: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    bodies: list[bytes] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    async def enrol(self, session: aiohttp.ClientSession) -> None:
        """Enrol a new key."""
        public = self.key.public_key().public_bytes_raw()
        proof = self.key.sign(codec.enrol_bytes(public, None, "probe"))
        options = EnrolRequest(key=_base64(public), proof=_base64(proof))
        url = f"{self.url}/v1/enroll"
        async with session.post(url, data=codec.encode(options), headers=JSON) as reply:
            self._known = msgspec.json.decode(await reply.read(), type=EnrolReply)

    def prepare(self, batches: int, records: int) -> None:
        """Make the batches, so that the clock does not count that."""
        for number in range(batches):
            lines = [codec.encode(made(n + number * records)) for n in range(records)]
            self.bodies.append(codec.pack(lines))

    async def send_all(self, session: aiohttp.ClientSession) -> int:
        """Send every batch, one after another; return the number of stored records."""
        stored = 0
        for body in self.bodies:
            began = time.perf_counter()
            stored += await self.send(session, body)
            self.seconds.append(time.perf_counter() - began)
        return stored

    async def send(self, session: aiohttp.ClientSession, body: bytes) -> int:
        """Send one batch; return the number of stored records."""
        url = f"{self.url}/v1/measurements"
        async with session.post(url, data=body, headers=self.signed(body)) as reply:
            return msgspec.json.decode(await reply.read(), type=BatchReply).stored

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers of a batch."""
        created = f"{time.time():.6f}"
        return {
            "Content-Type": codec.BATCH_TYPE,
            "Qaz-Key": self._known.key_id,
            "Qaz-Created": created,
            "Qaz-Signature": _base64(self.key.sign(self._message(created, body))),
        }

    def signature(self, body: bytes) -> tuple[bytes, bytes]:
        """What is signed of a batch, and the signature."""
        message = self._message(f"{time.time():.6f}", body)
        return message, self.key.sign(message)

    def _message(self, created: str, body: bytes) -> bytes:
        collector_id = self._known.collector_id
        return codec.signed_bytes(collector_id, "POST", "/v1/measurements", created, body)


async def prepared(
    urls: Sequence[str], clients: int, batches: int, records: int
) -> list[LoadClient]:
    """Enrolled clients with their batches, spread over these collectors."""
    found = [LoadClient(urls[number % len(urls)]) for number in range(clients)]
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one.enrol(session) for one in found))
    for one in found:
        one.prepare(batches, records)
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
