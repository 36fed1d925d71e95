"""A real collector on loopback, and clients that sign their requests."""

import asyncio
import base64
import io
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.record_row import Judge
from collector.serve import RunningCollector, running
from collector.settings import LAB_LIMITS, Address, CollectorSettings
from collector.store import backlog, keys
from collector.store.interface import Operation, Query, Rows
from probe import codec
from probe.api_types import BatchReply, EnrolRequest
from probe.failure import Failure
from probe.model import (
    Dns,
    Http,
    Mechanism,
    Outcome,
    Record,
    Reply,
    Role,
    Step,
    Tcp,
    Tls,
    Trust,
    Vantage,
    Verdict,
)

T = TypeVar("T")

JSON = {"Content-Type": "application/json"}
LISTED = "https://listed.example/"
OTHER = "https://other.example/"
UNLISTED = "https://secret.example/"
TARGETS = f"url,category_code\n{LISTED},NEWS\n{OTHER},HUMR\n"
KZ = Vantage(country="KZ", asn=9198, region="KZ-75", network="JSC Kazakhtelecom", version="0.1.0")
GOOD = "93.184.216.34"
VALID = Trust(valid=True, anchored=True, named=True, issuer_key="root", leaf_key="leaf")


def now(offset: float = 0.0) -> str:
    at = datetime.fromtimestamp(time.time() + offset, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fine(name: str = "listed.example") -> tuple[Step, ...]:
    """The steps of a measurement of a target that works."""
    reply = Reply(at=0.01, rcode=0, answers=(GOOD,), ttl=(60,))
    return (
        Dns(id=1, name=name, resolver="system", replies=(reply,), elapsed=0.02, limit=3.0),
        Tcp(id=2, parent=1, address=GOOD, port=443, elapsed=0.05, limit=3.0),
        Tls(
            id=3,
            parent=2,
            address=GOOD,
            port=443,
            sni=name,
            bytes_out=517,
            bytes_in=4000,
            trust=VALID,
            elapsed=0.1,
        ),
        Http(
            id=4,
            parent=3,
            url=f"https://{name}/",
            address=GOOD,
            port=443,
            host=name,
            proven=True,
            status=200,
            complete=True,
            received_bytes=100,
            bytes_in=300,
            title="Listed",
        ),
    )


def silent(name: str = "listed.example") -> tuple[Step, ...]:
    """Steps in which TLS times out for this name, twice, and works for a harmless one."""
    lookup, connect, *_ = fine(name)
    quiet = Tls(
        id=3,
        parent=2,
        address=GOOD,
        port=443,
        sni=name,
        failure=Failure.TIMEOUT,
        bytes_out=517,
        elapsed=3.0,
        limit=3.0,
    )
    harmless = Tls(
        id=4,
        parent=2,
        role=Role.HARMLESS,
        address=GOOD,
        port=443,
        sni="harmless.example",
        bytes_out=517,
        bytes_in=4000,
        trust=VALID,
        elapsed=0.1,
    )
    again = msgspec.structs.replace(quiet, id=5, try_=2)
    return (lookup, connect, quiet, harmless, again)


def record(
    input_: str = LISTED,
    steps: Sequence[Step] | None = None,
    *,
    outcome: Outcome = Outcome.OK,
    mechanisms: tuple[Mechanism, ...] = (),
    **changes: Any,
) -> Record:
    """One measurement; `believe` takes its verdict from the claim."""
    host = input_.split("/")[2] if "//" in input_ else "listed.example"
    made = Record(
        id=str(uuid.uuid4()),
        run=str(uuid.uuid4()),
        experiment="web",
        input=input_,
        started_at=now(),
        elapsed=1.0,
        vantage=KZ,
        steps=tuple(steps) if steps is not None else fine(host),
        verdict=Verdict(outcome=outcome, mechanisms=mechanisms, confidence=0.9),
    )
    return msgspec.structs.replace(made, **changes)


def believe(record: Record) -> Verdict:
    """A judge that returns the claimed verdict, so that tests of counting need no evidence."""
    return record.verdict or Verdict(outcome=Outcome.INCONCLUSIVE)


def select(name: str, **params: object) -> Operation[Rows]:
    """Run one named statement."""
    return (yield Query(name, params))


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def read(self, type_: type[T]) -> T:
        return msgspec.json.decode(self.body, type=type_)

    @property
    def data(self) -> Any:
        return msgspec.json.decode(self.body)


class CollectorHarness:
    """One running collector, and an HTTP client for it."""

    def __init__(self, running_: RunningCollector, session: aiohttp.ClientSession) -> None:
        self.running = running_
        self.service = running_.service
        self.url = running_.url
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        url = self.url + path
        data = None if body is None else io.BytesIO(body)
        async with self._session.request(method, url, data=data, headers=headers) as reply:
            return Answer(reply.status, reply.headers, await reply.read())

    async def judged(self) -> None:
        """Wait until nothing waits to be judged; a store tells of no changes."""
        async with asyncio.timeout(60):
            while (await self.service.store.read(backlog.state())).records:  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)
        # Its own look comes within half a second.
        await self.service.backlog.look()
        self.service.monitor.touch()

    async def metrics(self) -> dict[str, float]:
        """The value of every series by its name with labels."""
        url = self.running.metrics
        async with self._session.get(url) as reply:
            assert reply.status == 200
            text = (await reply.read()).decode()
        lines = (line for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    async def invite(self, role: keys.KeyRole, uses: int = 1, days: float = 1) -> str:
        invite = keys.new_invite()
        at = time.time()
        operation = keys.add_invite(invite, role, uses=uses, at=at, expires_at=at + days * 86400)
        await self.service.store.write(operation)
        return invite

    async def probe(self, role: keys.KeyRole = "probe") -> "SigningClient":
        """A client with a new, enrolled key."""
        sender = SigningClient(self, role)
        reply = await sender.enrol(await self.invite(role))
        assert reply.status == 200, reply.body
        return sender


class SigningClient:
    """A client with a key of its own, behind a proxy where it has an address."""

    def __init__(
        self, harness: CollectorHarness, role: keys.KeyRole = "probe", *, address: str = ""
    ) -> None:
        self.harness = harness
        self.role = role
        self.address = address
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes_raw()
        self.key_id = codec.key_id(self.public)

    async def enrol(
        self, invite: str | None = None, *, proof: bytes | None = None, timeless: bool = False
    ) -> Answer:
        at = None if timeless else f"{int(time.time())}.{secrets.randbelow(10**9):09}"
        signed = proof or self.key.sign(codec.enrol_bytes(self.public, invite, self.role, at))
        request = EnrolRequest(
            created=at,
            key=base64.b64encode(self.public).decode(),
            proof=base64.b64encode(signed).decode(),
            invite=invite,
            role=self.role,
        )
        return await self.harness.ask(
            "POST", "/v1/enroll", codec.encode(request), JSON | self._by_proxy()
        )

    def _by_proxy(self) -> dict[str, str]:
        return {"X-Forwarded-For": self.address} if self.address else {}

    def sign(
        self, method: str, path: str, body: bytes = b"", *, created: int | None = None
    ) -> dict[str, str]:
        at = f"{int(time.time()) if created is None else created}.{secrets.randbelow(10**9):09}"
        collector_id = self.harness.service.store.collector_id
        message = codec.signed_bytes(collector_id, method, path, at, body)
        return {
            "Qaz-Key": self.key_id,
            "Qaz-Created": at,
            "Qaz-Signature": base64.b64encode(self.key.sign(message)).decode(),
        }

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        type_: str = "application/json",
        created: int | None = None,
    ) -> Answer:
        headers = {"Content-Type": type_, **self.sign(method, path, body, created=created)}
        headers |= self._by_proxy()
        return await self.harness.ask(method, path, body, headers)

    async def post(self, batch: bytes) -> Answer:
        return await self.ask("POST", "/v1/measurements", batch, type_=codec.BATCH_TYPE)

    async def upload(self, *records: Record) -> BatchReply:
        """Send a batch."""
        reply = await self.post(codec.pack(map(codec.encode, records)))
        assert reply.status == 200, reply.body
        return reply.read(BatchReply)

    async def send(self, *records: Record) -> BatchReply:
        """Send a batch, and wait until it is judged."""
        reply = await self.upload(*records)
        await self.harness.judged()
        return reply


def settings(folder: Path, **changes: Any) -> CollectorSettings:
    file = folder / "targets.csv"
    if not file.exists():
        file.write_text(TARGETS)
    made = CollectorSettings(
        listen=Address("127.0.0.1", 0),
        store=f"sqlite:///{folder}/store.sqlite3",
        enrolment="open",
        targets=(str(file),),
        quorum=2,
        public_min_probes=1,
        workers=0,
        limits=LAB_LIMITS,
        verify_chains=False,
    )
    return replace(made, **changes)


@asynccontextmanager
async def collector(
    folder: Path, *, judge: Judge = believe, **changes: Any
) -> AsyncIterator[CollectorHarness]:
    """A collector that listens on loopback until the context ends."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        running(settings(folder, **changes), judge=judge) as serving,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        yield CollectorHarness(serving, session)
