"""Rules on TCP connections: a failure counts only if a control connected to the same address."""

from probe.analysis.attempts import by_address, consistently, failing
from probe.analysis.evidence import Evidence
from probe.compare import host_of, same_failure
from probe.failure import Failure
from probe.model import Http, Mechanism, Outcome, Role, Tcp
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = WEB

MECHANISMS = {
    Failure.REFUSED: Mechanism.TCP_REFUSED,
    Failure.RESET: Mechanism.TCP_RESET,
    Failure.ABORTED: Mechanism.TCP_RESET,
    Failure.TIMEOUT: Mechanism.TCP_TIMEOUT,
    Failure.HOST_UNREACHABLE: Mechanism.TCP_UNREACHABLE,
    Failure.NETWORK_UNREACHABLE: Mechanism.TCP_UNREACHABLE,
    Failure.NETWORK_DOWN: Mechanism.TCP_UNREACHABLE,
}


def _dialled(e: Evidence, hop: int) -> list[Tcp]:
    """Real attempts: without addresses refused for safety, and IPv6 ones where IPv6 is missing."""
    return [
        s
        for s in e.connections(hop)
        if s.failure is None
        or not s.failure.is_unreachable
        or not (":" in s.address or (s.detail or "").startswith("not dialled"))
    ]


@rule(
    "tcp.fails_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "other servers answer right before and after",
        InnocentExplanation.SERVER: "a control connects to the same address",
        InnocentExplanation.CHANCE: "at least two attempts that fail alike",
    },
)
def fails_here_only(e: Evidence) -> Finding | None:
    """Connections to this address fail here every time, and work for the control."""
    dialled = _dialled(e, e.end)
    if not dialled or any(s.failure is None for s in dialled):
        return None
    there = {(s.address, s.port) for s in e.control(Tcp) if s.failure is None}
    for _, attempts in by_address(dialled):
        last = consistently(attempts)
        if last is None or last.failure is None or last.failure not in MECHANISMS:
            continue
        # A control that failed here in the same way at any time: the failure comes and goes.
        same = [s for s in e.control(Tcp) if (s.address, s.port) == (last.address, last.port)]
        if any(same_failure(s.failure, last.failure) for s in same):
            continue
        if (last.address, last.port) in there and e.alive_around(last):
            mechanism = (MECHANISMS[last.failure],)
            return Finding(tuple(attempts), 0.95 * e.control_weight, mechanisms=mechanism)
    return None


@rule("tcp.dead_everywhere", Tier.CLEARED, Outcome.DOWN)
def dead_everywhere(e: Evidence) -> Finding | None:
    """Connections to this site fail here and for the control in the same way."""
    hop = e.end
    dialled = _dialled(e, hop)
    if len(dialled) < 2 or any(s.failure is None for s in dialled):
        return None
    there = [s for s in e.control(Tcp, hop, latest=True) if s.role is Role.TARGET]
    if not there or any(s.failure is None for s in there):
        return None
    mine = failing(dialled)
    alike = any(same_failure(s.failure, t.failure) for t in mine for s in there)
    return Finding(tuple(mine), 0.93 * e.control_weight, reason=_over_https(e)) if alike else None


def works_over_https(e: Evidence) -> bool:
    """The host's page came over proven TLS, beside a plain-http URL."""
    return e.end_url.startswith("http:") and any(
        page.proven and host_of(page.url) == e.end_host for page in e.all(Http, hop=e.end)
    )


def _over_https(e: Evidence) -> str | None:
    if not works_over_https(e):
        return None
    return (
        f"Port {e.port(e.end)} of this site is closed here and for the control in the same way;"
        " the site answers over https."
    )
