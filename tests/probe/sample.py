"""Records as a probe writes them, one of each kind that a reader must be able to understand."""

import base64
import hashlib

from probe.failure import Failure
from probe.model import (
    Authority,
    Control,
    Dns,
    Http,
    Mechanism,
    Outcome,
    Record,
    Reply,
    Role,
    RuleHit,
    RunFacts,
    Step,
    Tcp,
    Tls,
    Trust,
    TrustReason,
    Vantage,
    Verdict,
)

RUN = "019aa9d8-0000-7000-8000-000000000001"
KAZAKHTELECOM = Vantage(country="KZ", asn=9198, network="JSC Kazakhtelecom", region="KZ-75")
FORGED, TRUE = b"forged certificate", b"true certificate"


def digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def record(
    name: str,
    *steps: Step,
    outcome: Outcome = Outcome.OK,
    mechanisms: tuple[Mechanism, ...] = (),
    reason: str = "It answered.",
    control: tuple[Control, ...] = (),
    certs: tuple[bytes, ...] = (),
    run: str = RUN,
    url: str | None = None,
    at: str = "2026-11-21T21:39:05.123Z",
) -> Record:
    hit = RuleHit(id="sample.rule", steps=tuple(step.id for step in steps), reason=reason)
    return Record(
        id=f"019aa9d8-{name:0>4}-7000-8000-000000000000",
        run=run,
        experiment="web",
        input=url or f"https://{name}.example/",
        category="NEWS",
        started_at=at,
        elapsed=3.2,
        vantage=KAZAKHTELECOM,
        steps=steps,
        certs={digest(der): base64.b64encode(der).decode() for der in certs},
        control=control,
        verdict=Verdict(outcome=outcome, mechanisms=mechanisms, confidence=0.98, rules=(hit,)),
    )


def shaken(number: int, der: bytes, *, valid: bool) -> Tls:
    trust = Trust(
        valid=valid,
        reason=None if valid else TrustReason.UNKNOWN_AUTHORITY,
        subject="CN=a.example",
        issuer="CN=An Authority" if valid else "CN=Information Security Authority",
        not_before="2026-01-01T00:00:00Z",
        not_after="2027-01-01T00:00:00Z",
        authority=None if valid else Authority(id="isca", kind="interception", proof="verified"),
    )
    return Tls(
        id=number,
        address="192.0.2.1",
        port=443,
        sni="a.example",
        bytes_in=900,
        chain=(digest(der),),
        trust=trust,
        at=0.1,
        elapsed=0.2,
    )


def intercepted(name: str = "a") -> Record:
    seen = Control(id="c1", age=-420.0, steps=(shaken(1, TRUE, valid=True),))
    return record(
        name,
        Dns(
            id=1,
            name="a.example",
            resolver="system",
            replies=(Reply(at=0.02, rcode=0, answers=("192.0.2.1",), ttl=(60,)),),
        ),
        Tcp(id=2, parent=1, address="192.0.2.1", port=443, elapsed=0.05),
        shaken(3, FORGED, valid=False),
        outcome=Outcome.INTERCEPTED,
        mechanisms=(Mechanism.TLS_MITM,),
        reason="The chain verifies under a known interception key.",
        control=(seen,),
        certs=(FORGED,),
    )


def trusted(name: str = "a") -> Record:
    return record(name, shaken(1, TRUE, valid=True), certs=(TRUE,), at="2026-11-20T00:00:00Z")


def blocked(name: str = "b") -> Record:
    return record(
        name,
        Tls(
            id=1,
            address="192.0.2.2",
            port=443,
            sni="b.example",
            failure=Failure.TIMEOUT,
            elapsed=3.0,
            bytes_out=517,
        ),
        Tls(
            id=2,
            address="192.0.2.2",
            port=443,
            sni="example.com",
            role=Role.HARMLESS,
            bytes_in=10,
            try_=2,
        ),
        outcome=Outcome.BLOCKED,
        mechanisms=(Mechanism.TLS_TIMEOUT,),
        reason="TLS goes silent for this name and answers for a harmless one.",
    )


HOSTILE = "\x1b[2J\u202eevil</title><script>alert(1)</script>\x9b31m"


def hostile() -> Record:
    return record(
        "c",
        Http(
            id=1,
            url="http://c.example/",
            address="192.0.2.3",
            port=80,
            host="c.example",
            status=200,
            title=HOSTILE,
            location="http://evil.example/" + HOSTILE,
        ),
        outcome=Outcome.BLOCKED,
        mechanisms=(Mechanism.HTTP_BLOCKPAGE,),
        reason='=HYPERLINK("http://evil.example/")' + HOSTILE,
        url="http://c.example/",
    )


def facts() -> Record:
    return Record(
        id="019aa9d8-ffff-7000-8000-000000000000",
        run=RUN,
        experiment="run",
        input="run",
        started_at="2026-11-21T21:40:00.000Z",
        elapsed=60.0,
        vantage=KAZAKHTELECOM,
        facts=RunFacts(targets=3, measured=3),
    )
