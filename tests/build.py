"""Builders of steps, control measurements and records for tests."""

from collections.abc import Iterable

from msgspec.structs import replace

from probe.failure import Failure
from probe.model import (
    Authority,
    Control,
    Dns,
    Http,
    Line,
    Record,
    Reply,
    Role,
    Step,
    Tcp,
    Tls,
    Trust,
    TrustReason,
    Vantage,
)

HOST = "site.example"
URL = f"https://{HOST}/"
PLAIN = f"http://{HOST}/"
GOOD = "93.184.216.34"
OTHER = "93.184.216.99"
SINK = "185.10.10.10"
HARMLESS = "www.harmless.example"
UNRELATED = "199.16.156.7"

VALID = Trust(
    valid=True, anchored=True, named=True, issuer_key="root", leaf_key="leaf", issuer="CN=Good"
)
FORGED = Trust(
    valid=False,
    reason=TrustReason.UNKNOWN_AUTHORITY,
    named=True,
    issuer_key="forger",
    leaf_key="forged",
    issuer="CN=Forger",
)
KNOWN = replace(
    FORGED,
    authority=Authority(id="qaznet-2016", kind="interception", proof="verified"),
)
CLAIMED = replace(
    FORGED,
    authority=Authority(id="isca-2020", kind="interception", proof="claimed"),
)
EXPIRED = replace(VALID, valid=False, reason=TrustReason.EXPIRED, leaf_key="old")


def dns(
    *answers: str,
    name: str = HOST,
    resolver: str = "system",
    transport: str = "udp",
    failure: Failure | None = None,
    rcode: int = 0,
    **more: object,
) -> Dns:
    """One query with one reply, or with none if it timed out."""
    replies = () if failure is Failure.TIMEOUT else (Reply(at=0.01, rcode=rcode, answers=answers),)
    step = Dns(name=name, resolver=resolver, failure=failure, replies=replies, elapsed=0.01)
    return replace(step, transport=transport, **more)


def doh(*answers: str, **more: object) -> Dns:
    """An encrypted query."""
    return dns(*answers, resolver="1.1.1.1", transport="doh", **more)  # type: ignore[arg-type]


def nxdomain(**more: object) -> Dns:
    """An NXDOMAIN response."""
    return dns(failure=Failure.DNS_NXDOMAIN, rcode=3, **more)  # type: ignore[arg-type]


def tcp(
    address: str = GOOD, port: int = 443, failure: Failure | None = None, **more: object
) -> Tcp:
    """One connection."""
    return replace(Tcp(address=address, port=port, failure=failure, elapsed=0.05), **more)


def tls(
    address: str = GOOD,
    *,
    sni: str | None = HOST,
    failure: Failure | None = None,
    trust: Trust | None = VALID,
    bytes_in: int | None = None,
    **more: object,
) -> Tls:
    """One handshake; a failed one received nothing."""
    step = Tls(
        address=address,
        port=443,
        sni=sni,
        failure=failure,
        bytes_out=517,
        bytes_in=(0 if failure else 3000) if bytes_in is None else bytes_in,
        trust=None if failure else trust,
        chain=() if failure else ("aa",),
        elapsed=0.1,
    )
    return replace(step, **more)


def page(
    url: str = URL,
    *,
    address: str = GOOD,
    status: int | None = 200,
    failure: Failure | None = None,
    title: str | None = "The site",
    fuzzy: str | None = "0f0f0f0f0f0f0f0f",
    received_bytes: int = 9000,
    **more: object,
) -> Http:
    """One HTTP exchange; proven if it is https, unless `proven` is given."""
    secure = url.startswith("https:")
    step = Http(
        url=url,
        address=address,
        port=443 if secure else 80,
        host=url.split("/")[2],
        proven=secure,
        status=None if failure else status,
        failure=failure,
        title=None if failure else title,
        fuzzy=None if failure else fuzzy,
        sha256=None if failure else f"{title}{status}",
        received_bytes=0 if failure else received_bytes,
        bytes_in=0 if failure else received_bytes,
        bytes_out=200,
        complete=failure is None,
        elapsed=0.1,
    )
    return replace(step, **more)


def fetched(address: str = GOOD, **more: object) -> tuple[Step, ...]:
    """A complete, successful https fetch."""
    return (tcp(address), tls(address), page(address=address, **more))  # type: ignore[arg-type]


def harmless(step: Step) -> Step:
    """The same step with a harmless name."""
    sni = {"sni": HARMLESS} if isinstance(step, Tls) else {}
    return replace(step, role=Role.HARMLESS, **sni)


def at_unrelated(step: Step) -> Step:
    """The same step, for the same name, at a server that has nothing to do with the target."""
    return replace(step, role=Role.NEUTRAL, address=UNRELATED)


def reference(step: Step) -> Step:
    """The same step at a reference site."""
    return replace(step, role=Role.REFERENCE)


def again(*steps: Step) -> tuple[Step, ...]:
    """The same steps in the second attempt."""
    return tuple(replace(step, try_=2) for step in steps)


def control(*steps: Step, age: float = -120.0) -> Control:
    """One control measurement; `age` in seconds, negative before the record."""
    return Control(id="control", age=age, steps=numbered(steps))


def numbered(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Number the steps, a second apart; the parent of each is the connection right before it."""
    result: list[Step] = []
    for index, step in enumerate(steps, start=1):
        parent = result[-1].id if result and _is_parent(result[-1], step) else None
        result.append(replace(step, id=index, at=float(index), parent=parent))
    return tuple(result)


def _is_parent(parent: Step, step: Step) -> bool:
    kind = {Tls: Tcp, Http: Tls | Tcp}.get(type(step))
    return kind is not None and isinstance(parent, kind) and parent.role is step.role


def record(
    *steps: Step,
    url: str = URL,
    controls: tuple[Control, ...] = (),
    line: Line | None = None,
    **more: object,
) -> Record:
    """One record of the experiment `web`, with everything that judging needs."""
    base = Record(
        id="00000000-0000-7000-8000-000000000001",
        run="00000000-0000-7000-8000-000000000000",
        experiment="web",
        input=url,
        started_at="2026-11-21T21:39:05.123Z",
        elapsed=3.0,
        vantage=Vantage(),
        steps=numbered(steps),
        control=controls,
        line=line or Line(alive_before=True, alive_after=True, references=4, trusted_names=3),
    )
    return replace(base, **more)
