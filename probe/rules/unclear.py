"""Why we cannot tell: what was missing, in one sentence. Honest, and never an accusation."""

from probe.analysis.evidence import Evidence, failing
from probe.analysis.slowness import cut_short
from probe.model import Dns, Http, Outcome, Role, Step, Tcp, Tls
from probe.rule import Finding, Rule, Tier, rule


def _failed(e: Evidence) -> list[Step]:
    """What failed of the way that a browser here would go."""
    own = [s for s in failing(e.steps) if s.role is Role.TARGET]
    return [s for s in own if not _beside_the_way(e, s)]


def _beside_the_way(e: Evidence, step: Step) -> bool:
    """Another resolver's answer, or a look at the https that stands beside a plain site."""
    match step:
        case Dns():
            return (step.resolver, step.type) != ("system", "A")
        case Tcp() | Tls() | Http():
            return step.port != e.port(step.hop)
        case _:
            return False


def _how(e: Evidence) -> str:
    """Where it ended, in a few words."""
    failed = _failed(e)
    if not failed:
        return "It did not simply work"
    what = {"dns": "Asking for the name", "tcp": "Connecting", "tls": "TLS", "http": "The request"}
    last = failed[-1]
    kind = type(last).__name__.lower()
    return f"{what.get(kind, kind.upper())} ended in {last.failure}"


@rule("unclear.seen_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def seen_once(e: Evidence) -> Finding | None:
    """It did not simply work, and it could not be looked at a second time."""
    failed = _failed(e)
    tries = max((s.try_ for s in e.steps if s.role is Role.TARGET), default=0)
    return Finding(tuple(failed[-1:]), 0.5) if failed and tries < 2 else None


@rule("unclear.no_control", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_control(e: Evidence) -> Finding | None:
    """It did not simply work, nobody looked from elsewhere, and nothing here proves why."""
    if e.controls or not e.steps:
        return None
    reason = f"{_how(e)}; nobody looked from elsewhere, and nothing here proves why."
    return Finding(e.steps[-1:], 0.5, reason=reason)


@rule("unclear.plain_page", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def plain_page(e: Evidence) -> Finding | None:
    """A page came over plain http, where anybody could write it, and nothing shows whose it is."""
    pages = [p for p in e.pages(e.end) if p.url.startswith("http:") and p.status is not None]
    if not pages or _failed(e):
        return None
    why = (
        "it is not the one that the control was given, but sites differ by place and by the hour"
        if e.controls
        else "nobody looked from elsewhere to compare it with"
    )
    reason = f"A page came over plain http, where anybody could have written it; {why}."
    return Finding(tuple(pages[-1:]), 0.55, reason=reason)


@rule("unclear.whose_certificate", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def whose_certificate(e: Evidence) -> Finding | None:
    """The certificate is not valid, and nothing shows whether it is the site's own."""
    shaken = [s for s in e.handshakes(e.end) if s.trust is not None and not s.trust.valid]
    if not shaken or any(s.failure is not None for s in e.handshakes(e.end)):
        return None
    trust = shaken[-1].trust
    told = trust.reason if trust is not None and trust.reason else "invalid"
    missing = "the control's look does not tell" if e.controls else "nobody looked from elsewhere"
    reason = f"The certificate is not valid ({told}); whether it is the site's own, {missing}."
    return Finding(tuple(shaken[-1:]), 0.55, reason=reason)


@rule("unclear.line_not_shown_to_work", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def line_not_shown_to_work(e: Evidence) -> Finding | None:
    """Nothing else was seen to work right before and after: the line itself may have failed."""
    failed = _failed(e)
    if not failed or e.alive_around(failed[-1]):
        return None
    return Finding((failed[-1],), 0.5)


@rule("unclear.slow", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def slow(e: Evidence) -> Finding | None:
    """The page began and did not finish in time: slow, which is a question for `throttle`."""
    cut = [p for p in e.pages(e.end) if p.failure and (p.received_bytes or cut_short(p))]
    return Finding(tuple(cut[-1:]), 0.6, reason=_ask_throttle(e)) if cut else None


@rule("note.slow_page", Tier.NOTE, None)
def slow_page(e: Evidence) -> Finding | None:
    """The page came, but not whole in the time a page has: slow, on purpose or not."""
    cut = [p for p in e.pages(e.end) if p.failure is None and cut_short(p)]
    return Finding(tuple(cut[-1:]), 0.0, reason=_ask_throttle(e)) if cut else None


def _ask_throttle(e: Evidence) -> str:
    return (
        "The page began and did not come whole in the time a page has: slow. Whether on purpose "
        f"is a question for: qazprobe run -e throttle {e.end_url}"
    )


@rule("unclear.nothing_fits", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_fits(e: Evidence) -> Finding | None:
    """What was seen fits no working site, no broken one, and no interference we can prove."""
    if not e.controls:
        return Finding(e.steps[-1:], 0.4)
    reason = f"{_how(e)}; neither this nor what the control saw shows whose doing it is."
    return Finding(e.steps[-1:], 0.4, reason=reason)


RULES: tuple[Rule, ...] = (
    seen_once,
    line_not_shown_to_work,
    no_control,
    plain_page,
    whose_certificate,
    slow,
    slow_page,
    nothing_fits,
)
