"""Why a website cannot be judged: each rule says exactly what was missing, and accuses nothing."""

from probe.analysis.attempts import failing
from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.analysis.pace import drags_here, kbit, pace
from probe.analysis.packet_size import answered_when_small
from probe.analysis.silence_place import limited
from probe.analysis.slowness import came_whole, cut_short
from probe.model import Dns, Http, Outcome, Ping, Role, Step, Tcp, Tls
from probe.rule import WEB, Finding, Tier, rule
from probe.rules.archive import is_archived
from probe.rules.tcp import works_over_https

EXPERIMENTS = WEB
_OPERATIONS = {Dns: "The DNS query", Tcp: "The connection", Tls: "TLS", Http: "The HTTP request"}


@once
def _failed(e: Evidence) -> list[Step]:
    """The failing steps among those that a browser here would take."""
    nearer = limited(e.steps)  # such packets are meant to end before the site
    own = [s for s in failing(e.steps) if s.role is Role.TARGET and s.id not in nearer]
    return [s for s in own if not _is_side_step(e, s)]


def _is_side_step(e: Evidence, step: Step) -> bool:
    """A query to another resolver, or a step to the https server beside a plain-http site."""
    match step:
        case Dns():
            return (step.resolver, step.type) != ("system", "A")
        case Tcp() | Tls() | Http():
            return step.port != e.port(step.hop)
        case _:
            return isinstance(step, Ping)


def _last_failure(e: Evidence) -> str:
    """The beginning of a sentence: the operation that failed last, and how."""
    failed = _failed(e)
    if not failed:
        return "The site did not simply work"
    kind = type(failed[-1])
    return f"{_OPERATIONS.get(kind, kind.__name__.upper())} failed ({failed[-1].failure})"


@rule("unclear.seen_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def seen_once(e: Evidence) -> Finding | None:
    """The site failed, and the confirmation measurement is missing."""
    if is_archived(e):
        return None  # it always is
    failed = _failed(e)
    tries = max((s.try_ for s in e.steps if s.role is Role.TARGET), default=0)
    return Finding(tuple(failed[-1:]), 0.5) if failed and tries < 2 else None


@rule("unclear.line_not_shown_to_work", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def line_not_shown_to_work(e: Evidence) -> Finding | None:
    """No other server answered around the failure, so the connection itself may have failed."""
    failed = _failed(e)
    if not failed or is_archived(e) or e.alive_around(failed[-1]):
        return None
    return Finding((failed[-1],), 0.5)


@rule("unclear.no_control", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_control(e: Evidence) -> Finding | None:
    """The site failed; a control measurement is missing, and nothing here proves the cause."""
    if e.controls or not e.steps:
        return None
    reason = f"{_last_failure(e)}; a control measurement is missing, and nothing here proves why."
    return Finding(e.steps[-1:], 0.5, reason=reason)


@rule("unclear.plain_port", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def plain_port(e: Evidence) -> Finding | None:
    """The plain port fails and https works; only a control shows whether it is closed for all."""
    dialled = e.connections(e.end)
    if not failing(dialled) or len(failing(dialled)) < len(dialled) or not works_over_https(e):
        return None
    return Finding(tuple(dialled), 0.6)


@rule("unclear.plain_page", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def plain_page(e: Evidence) -> Finding | None:
    """A page came over plain http, which the network can replace; its origin is not shown."""
    pages = [p for p in e.pages(e.end) if p.url.startswith("http:") and p.status is not None]
    if not pages or _failed(e):
        return None
    why = (
        "it differs from the control's page, but sites differ by country and by the hour"
        if e.controls
        else "a control measurement to compare it with is missing"
    )
    reason = f"A page came over plain http, which the network can replace; {why}."
    return Finding(tuple(pages[-1:]), 0.55, reason=reason)


@rule("unclear.whose_certificate", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def whose_certificate(e: Evidence) -> Finding | None:
    """The certificate is not valid, and nothing shows whether it is the site's own."""
    shaken = [s for s in e.handshakes(e.end) if s.trust is not None and not s.trust.valid]
    if not shaken or any(s.failure is not None for s in e.handshakes(e.end)):
        return None
    trust = shaken[-1].trust
    why = trust.reason if trust is not None and trust.reason else "invalid"
    missing = (
        "the control measurement does not show whether it is the site's own"
        if e.controls
        else "a control measurement to compare it with is missing"
    )
    reason = f"The certificate is not valid ({why}); {missing}."
    return Finding(tuple(shaken[-1:]), 0.55, reason=reason)


@rule("unclear.packet_size", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def packet_size(e: Evidence) -> Finding | None:
    """The site answers in small packets only: this connection loses large ones."""
    small = answered_when_small(e.steps, _failed(e))
    return Finding((small,), 0.8) if small is not None else None


@rule("unclear.slow", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def slow(e: Evidence) -> Finding | None:
    """The page began and did not finish in time; the `throttle` experiment tests for slowing."""
    began = (p for p in e.pages(e.end) if p.received_bytes or cut_short(p))
    cut = [p for p in began if p.failure or not (came_whole(p) or p.location)]
    return Finding(tuple(cut[-1:]), 0.6, reason=_ask_throttle(e)) if cut else None


@rule("unclear.slow_for_this_site", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def slow_for_this_site(e: Evidence) -> Finding | None:
    """The page came far slower than other sites' pages on this connection at that time."""
    dragging = [p for p in e.pages(e.end) if came_whole(p) and drags_here(e, p)]
    if not dragging or e.line.page_rate is None:
        return None
    page = max(dragging, key=lambda p: pace(p) or 0.0)
    reason = (
        f"The page came at {kbit(pace(page) or 0.0)} kbit/s, and other sites' pages at "
        f"{kbit(e.line.page_rate)} kbit/s; the throttle experiment tests whether by intent."
    )
    return Finding((page,), 0.6, reason=reason)


@rule("note.slow_page", Tier.NOTE, None)
def slow_page(e: Evidence) -> Finding | None:
    """The page loaded only in part within the time limit; nothing shows whether by intent."""
    cut = [p for p in e.pages(e.end) if p.failure is None and cut_short(p)]
    return Finding(tuple(cut[-1:]), 0.0, reason=_ask_throttle(e)) if cut else None


def _ask_throttle(e: Evidence) -> str:
    return (
        "The page began and did not finish within the time limit. To test whether the network "
        f"slows it, run: qazprobe run -e throttle {e.end_url}"
    )


@rule("unclear.nothing_fits", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_fits(e: Evidence) -> Finding | None:
    """The observations show neither a working site, nor a broken one, nor interference."""
    if not e.controls:
        return Finding(e.steps[-1:], 0.4)
    reason = f"{_last_failure(e)}; neither this nor the control measurement shows the cause."
    return Finding(e.steps[-1:], 0.4, reason=reason)
