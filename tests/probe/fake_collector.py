"""A fake collector on loopback with the checks of a real one; it can be made to misbehave."""

import base64
import datetime as dt
import functools
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec
from aiohttp import web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from probe import api_types, codec

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def record(number: int, *, padding: int = 0) -> bytes:
    """A line that the spool and the fake collector accept as a record."""
    return msgspec.json.encode({"id": f"r{number}", "padding": "x" * padding})


@dataclass
class FakeCollector:
    """The server; `async with` starts it."""

    tls: ssl.SSLContext | None = None
    enrolment: str = "open"
    collector_id: str = "c0ffee"
    date_ahead: float = 0.0
    controls: tuple[api_types.TargetControls, ...] = ()
    jobs: list[api_types.RecheckJob] = field(default_factory=list)
    override: dict[str, Handler] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    duplicates: int = 0
    requests: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    port: int = 0
    host: str = "127.0.0.1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", self._route)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self.tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    async def _route(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        self.connections.add(id(request.transport))
        handler = self.override.get(request.path) or self._usual(request)
        if handler is None:
            return problem(404, "no such thing")
        response = await handler(request)
        when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.date_ahead)
        if not response.prepared:
            response.headers["Date"] = when.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return response

    def _usual(self, request: web.Request) -> Handler | None:
        method = _ROUTES.get((request.method, request.path))
        return functools.partial(method, self) if method else None

    async def refuse_signature(self, request: web.Request) -> web.Response | None:
        """None when the request is signed by an enrolled key, for us, now."""
        public = self.keys.get(request.headers.get("Qaz-Key", ""))
        created = request.headers.get("Qaz-Created", "0")
        if public is None:
            return problem(401, "unknown key")
        now = dt.datetime.now(dt.UTC).timestamp() + self.date_ahead
        if abs(now - float(created)) > 300:
            return problem(401, "signed too long ago")
        body = await request.read()
        message = codec.signed_bytes(
            self.collector_id, request.method, request.path_qs, created, body
        )
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(
                base64.b64decode(request.headers["Qaz-Signature"]), message
            )
        except InvalidSignature:
            return problem(401, "bad signature")
        return None

    async def enrol(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=api_types.EnrolRequest)
        if self.enrolment == "closed" or (self.enrolment == "token" and asked.invite != "invite"):
            return problem(403, "an invite is needed")
        public = base64.b64decode(asked.key)
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(asked.proof),
            codec.enrol_bytes(public, asked.invite, asked.role, asked.created),
        )
        self.keys[codec.key_id(public)] = public
        return reply(
            api_types.EnrolReply(key_id=codec.key_id(public), collector_id=self.collector_id)
        )

    async def measurements(self, request: web.Request) -> web.Response:
        if refused := await self.refuse_signature(request):
            return refused
        records = []
        for number, line in enumerate(codec.unpack(await request.read())):
            name = msgspec.json.decode(line)["id"]
            if name.startswith("bad"):
                records.append(
                    api_types.RecordReply(line=number, status="rejected", reason="bad record")
                )
                continue
            known = name in self.stored
            self.duplicates += known
            self.stored[name] = line
            records.append(
                api_types.RecordReply(
                    line=number, status="duplicate" if known else "stored", id=name
                )
            )
        count = [one.status for one in records].count
        return reply(
            api_types.BatchReply(
                stored=count("stored"),
                duplicates=count("duplicate"),
                rejected=count("rejected"),
                records=tuple(records),
            )
        )

    async def service(self, request: web.Request) -> web.Response:
        return reply(
            api_types.ServiceReply(collector_id=self.collector_id, lab=True, enrolment="open")
        )

    async def vantage(self, request: web.Request) -> web.Response:
        return reply(api_types.VantageReply(country="KZ", asn=9198, network="Kazakhtelecom"))

    async def control(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("input", [])
        found = tuple(c for c in self.controls if not wanted or c.input in wanted)
        return reply(api_types.ControlReply(controls=found))

    async def recheck(self, request: web.Request) -> web.Response:
        if refused := await self.refuse_signature(request):
            return refused
        return reply(api_types.ControlReply(controls=self.controls))

    async def recheck_jobs(self, request: web.Request) -> web.Response:
        if refused := await self.refuse_signature(request):
            return refused
        jobs, self.jobs = tuple(self.jobs), []
        return reply(api_types.RecheckJobs(jobs=jobs))

    async def erase(self, request: web.Request) -> web.Response:
        if refused := await self.refuse_signature(request):
            return refused
        del self.keys[request.headers["Qaz-Key"]]
        self.stored.clear()
        return web.Response(status=204)


_ROUTES: dict[tuple[str, str], Callable[[FakeCollector, web.Request], Awaitable[web.Response]]] = {
    ("POST", "/v1/enroll"): FakeCollector.enrol,
    ("POST", "/v1/measurements"): FakeCollector.measurements,
    ("GET", "/v1/service"): FakeCollector.service,
    ("GET", "/v1/vantage"): FakeCollector.vantage,
    ("GET", "/v1/control"): FakeCollector.control,
    ("POST", "/v1/recheck"): FakeCollector.recheck,
    ("GET", "/v1/recheck"): FakeCollector.recheck_jobs,
    ("DELETE", "/v1/probes/me"): FakeCollector.erase,
}


def reply(body: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def problem(status: int, error: str) -> web.Response:
    return reply(api_types.Problem(error=error), status)


def answering(make: Callable[[], web.StreamResponse]) -> Handler:
    """A handler that always gives this answer."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return make()

    return handler


@dataclass(frozen=True)
class Credentials:
    """A certificate for 127.0.0.1 and localhost, its root, and the pin of its key."""

    context: ssl.SSLContext
    root: Path
    pin: str


def credentials(folder: Path, *, days: int = 1) -> Credentials:
    """Make a root and a server certificate; negative `days` make one that has expired."""
    now = dt.datetime.now(dt.UTC)
    root_key, leaf_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FakeCollector Root")])
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FakeCollector")])

    def builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=9))
        )

    root = (
        builder(root_name, root_key)
        .not_valid_after(now + dt.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    leaf = (
        builder(leaf_name, leaf_key)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "root.pem").write_bytes(root.public_bytes(pem))
    (folder / "leaf.pem").write_bytes(
        leaf.public_bytes(pem)
        + leaf_key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        leaf_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return Credentials(context, folder / "root.pem", digest.finalize().hex())
