"""Rules that clear an archived measurement, or say what it lacks; `archive.py` accuses."""

from collections.abc import Iterable, Sequence

from probe.analysis.dns_answers import NO_ADDRESS, host_at, real
from probe.analysis.evidence import Evidence
from probe.analysis.slowness import came_whole
from probe.compare import is_broken_redirect, same_failure, similar_pages
from probe.failure import Failure
from probe.model import Base, Dns, Http, Outcome, Role, Tcp, Tls, TrustReason
from probe.rule import Finding, Tier, rule
from probe.rules.archive import good_ends, is_archived, public_attempts, tried
from probe.rules.ok import is_refusal

EXPERIMENTS = ("web",)

# Untitled pages are the same page if their lengths differ by less than one part in this many.
_LENGTHS = 20
_LEAST_BYTES = 200
_MANY_HOPS = 9
_CERTIFICATE = {
    TrustReason.HOSTNAME: Failure.SSL_HOSTNAME,
    TrustReason.UNKNOWN_AUTHORITY: Failure.SSL_AUTHORITY,
    TrustReason.SELF_SIGNED: Failure.SSL_AUTHORITY,
    TrustReason.INCOMPLETE: Failure.SSL_AUTHORITY,
}


@rule("archive.same_page", Tier.LIKELY, Outcome.OK)
def same_page(e: Evidence) -> Finding | None:
    """The page at the end of the redirects is the helper's, by its title or its length."""
    given = e.system_addresses(e.end)
    for page in reversed(e.pages(e.end) if is_archived(e) else []):
        fine = page.failure is None and page.address in given and came_whole(page)
        if not fine or page.location is not None or is_refusal(page) or _hides_its_server(e, page):
            continue
        if any(similar_pages(page, p) or _same_length(page, p) for p in good_ends(e)):
            return Finding((page,), 0.8)
    return None


def _hides_its_server(e: Evidence, page: Http) -> bool:
    """It came over TLS, and neither our roots nor the client's proved the name."""
    if page.url.startswith("http:"):
        return False
    shaken = e.handshake_before(page)
    return shaken is None or shaken.trust is None or not shaken.trust.anchored


def _same_length(page: Http, other: Http) -> bool:
    """Both without a title, and of one length; of a large page the declared one."""
    if page.title or other.title or page.status != other.status:
        return False
    mine = page.received_bytes if page.complete else page.declared_bytes or 0
    short, long = sorted((mine, other.received_bytes))
    return short >= _LEAST_BYTES and (long - short) * _LENGTHS < long


# --- it is broken -------------------------------------------------------------------------------


@rule("archive.broken_for_the_helper_too", Tier.CLEARED, Outcome.DOWN)
def broken_for_the_helper_too(e: Evidence) -> Finding | None:
    """It failed here and for the helper in the same way."""
    if not is_archived(e) or not e.controls:
        return None
    steps = _dead_name(e) or _dead_server(e) or _dead_page(e) or _endless(e)
    return Finding(tuple(steps), 0.8) if steps else None


def _dead_name(e: Evidence) -> Sequence[Base]:
    asked = e.system(e.end)
    if e.end or not asked or any(s.failure not in NO_ADDRESS for s in asked) or real(e, 0):
        return ()
    there = [s for s in e.control(Dns) if s.name == host_at(e, 0)]
    return asked if there and all(s.failure in NO_ADDRESS for s in there) else ()


def _dead_server(e: Evidence) -> Sequence[Base]:
    """No connection, or no handshake: none of the helper's works, and one of them fails alike."""
    if e.end:
        return ()
    dialled: Sequence[Tcp | Tls] = public_attempts(e, 0)
    there = _of_target(e.control(Tcp))
    if dialled and all(s.failure is not None for s in dialled):
        return dialled if _fail_alike(dialled, there) else ()
    there = _of_target(s for s in e.control(Tls) if s.sni == e.host)
    return tried(e) if _fail_alike(tried(e), there) else ()


def _of_target(steps: Iterable[Tcp | Tls]) -> list[Tcp | Tls]:
    return [s for s in steps if s.role is Role.TARGET]


def _fail_alike(mine: Sequence[Tcp | Tls], there: Sequence[Tcp | Tls]) -> bool:
    own, others = [_why(s) for s in mine], [_why(s) for s in there]
    if not own or not others or None in own or None in others:
        return False
    return any(same_failure(one, other) for one in own for other in others)


def _why(step: Tcp | Tls) -> Failure | None:
    """How it failed; an invalid certificate is a failure."""
    if step.failure is not None or not isinstance(step, Tls) or step.trust is None:
        return step.failure
    if step.trust.valid or step.trust.reason is None:
        return None
    return _CERTIFICATE.get(step.trust.reason, Failure.SSL_CERTIFICATE)


def _dead_page(e: Evidence) -> Sequence[Base]:
    mine, there = e.pages(e.end), e.control(Http)
    failed = [p for p in mine if p.failure is not None]
    if not mine or len(failed) < len(mine) or not there:
        return ()
    alike = all(any(same_failure(p.failure, q.failure) for p in mine) for q in there)
    return mine if alike else ()


def _endless(e: Evidence) -> Sequence[Base]:
    """Redirects that end nowhere, where the helper got no page either."""
    pages = e.pages(e.end)[-1:]
    nowhere = bool(pages) and (is_broken_redirect(pages[0]) or e.end >= _MANY_HOPS)
    there = e.control(Http)
    return pages if nowhere and there and all(p.failure is not None for p in there) else ()


@rule("archive.no_handshake_recorded", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_handshake_recorded(e: Evidence) -> Finding | None:
    """The page came over TLS, and no handshake was recorded: whose server it was is not known."""
    pages = [p for p in e.pages(e.end) if p.url.startswith("https:") and p.failure is None]
    bare = [p for p in pages if e.handshake_before(p) is None]
    return Finding(tuple(bare[-1:]), 0.7) if is_archived(e) and bare else None
