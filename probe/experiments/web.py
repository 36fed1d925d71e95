"""Open a site as a browser would, step by step; and when that does not simply work, ask again.

The second look is a comparison: the same address with a harmless name before and after, the other
resolvers' addresses, the same host over https, between references that must work. Nothing here says
what any of it means.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from probe.analysis.blockpage_text import reads_like_one
from probe.analysis.evidence import of_the_site
from probe.compare import host_of, incompatible, is_address, same_issuer, same_site
from probe.experiments.browse import (
    ADDRESSES,
    HOPS,
    Site,
    connected,
    fetch_from,
    next_url,
    resolve,
    walk,
)
from probe.experiments.interface import Experiment, Net, Reference, Task
from probe.experiments.operations import DnsQuery, HttpRequest, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Http, Role, Step, Steps, Tcp, Tls

PATIENCE = 12.0
PUNISHED = (20.0, 45.0)


async def measure(task: Task, net: Net) -> Steps:
    """Look once, as a browser would."""
    trail = StepLog()
    await walk(task, net, trail, Site(task.url, 0), try_=1)
    return trail.steps


# --- what did not simply work -----------------------------------------------------------------


def wanted(_: Task, steps: Steps) -> bool:
    """Whether a second look is needed: anything but a proven page, plainly come by."""
    pages = [s for s in steps if isinstance(s, Http)]
    if not pages or any(s.failure is not None for s in steps if not _spare(s)):
        return True
    if any(incompatible(s.replies[0], r) for s in _queries(steps) for r in s.replies[1:]):
        return True
    if _one_plain_answer_differs(steps):
        return True
    last = pages[-1]
    plain = any(not p.proven for p in pages[:-1]) and not _stays(pages)
    return (
        plain
        or not last.proven
        or not 200 <= (last.status or 0) < 400
        or next_url(last) is not None
    )


def _one_plain_answer_differs(steps: Steps) -> bool:
    """A public resolver's plain answer stands alone against the system's and an encrypted one.

    Large sites answer every resolver differently; they seldom agree with just one of two others.
    """
    asked = [s for s in _queries(steps) if s.type == "A" and s.hop == 0]
    plain = [s for s in asked if s.resolver != "system" and s.transport == "udp" and s.replies]
    system = {a for s in asked if s.resolver == "system" for a in s.addresses}
    encrypted = {a for s in asked if s.transport in {"doh", "dot"} for a in s.addresses}
    agreed = system & encrypted
    return bool(agreed) and any(agreed.isdisjoint(s.addresses) for s in plain)


def _spare(step: Step) -> bool:
    """A failure that a browser here would not have noticed: another resolver's, a missing AAAA."""
    if isinstance(step, Dns):
        return step.resolver != "system" or step.type != "A"
    return False


def _queries(steps: Steps) -> list[Dns]:
    return [s for s in steps if isinstance(s, Dns)]


def _stays(pages: list[Http]) -> bool:
    """Every plain redirect stayed on its own host's registered name."""
    plain = [p for p in pages[:-1] if not p.proven]
    return all(same_site(host_of(p.url), host_of(p.location or p.url)) for p in plain)


# --- looking again ----------------------------------------------------------------------------


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Look again at where it ended, between references, and by comparison."""
    trail = StepLog(seen)
    for site in _doubtful(task, trail):
        await _look_again(task, net, trail, site)
    return trail.steps


async def _look_again(task: Task, net: Net, trail: StepLog, site: Site) -> None:
    reference = task.references[0] if task.references else None
    await look_at(net, trail, reference)
    addresses = await resolve(task, net, trail, site, try_=2)
    await _ask_for_another(task, net, trail, site, reference)
    picks = _picks(task, net, trail, site, addresses)
    await net.together([_compare(task, net, trail, site, one) for one in picks])
    if not site.secure and picks:
        await _own_https(net, trail, site, picks)
    await look_at(net, trail, reference)
    await _patiently(task, net, trail, site, picks)
    await _name_elsewhere(task, net, trail, site)


def _doubtful(task: Task, trail: StepLog) -> list[Site]:
    """Where to look again: every hop from which an open redirect led off the site, and the end."""
    site = Site(task.url, 0)
    left: list[Site] = []
    for step in trail.steps:
        if isinstance(step, Http) and step.hop == site.hop and step.role is Role.TARGET:
            following = next_url(step)
            if following is None or site.hop >= HOPS:
                break
            if _led_away(step):
                left.append(site)
            site = Site(following, step.hop + 1)
    return [*left[:1], site]


def _led_away(page: Http) -> bool:
    return not page.proven and not same_site(host_of(page.url), host_of(page.location or ""))


async def look_at(net: Net, trail: StepLog, reference: Reference | None) -> None:
    """See whether a site that must work does."""
    if reference is None or reference.address is None:
        return
    site = Site(reference.url, 0)
    if site.secure:
        steps: Iterable[Step | None] = await net.tls(
            TlsHandshake(reference.address, site.port, site.host)
        )
    else:
        steps = await net.http(HttpRequest(reference.url, reference.address))
    trail.chain(steps, role=Role.REFERENCE)


async def _ask_for_another(
    task: Task, net: Net, trail: StepLog, site: Site, reference: Reference | None
) -> None:
    """Ask the system's resolver for another name, when it failed for this one."""
    failed = [s for s in _queries(trail.steps) if s.resolver == "system" and s.name == site.host]
    if not failed or all(s.failure is None for s in failed):
        return
    name, role = (
        (host_of(reference.url), Role.REFERENCE)
        if reference is not None and not is_address(host_of(reference.url))
        else (next(iter(task.harmless), ""), Role.HARMLESS)
    )
    if name:
        trail.add(await net.dns(DnsQuery(name, net.resolvers[0])), role=role)


def _picks(task: Task, net: Net, trail: StepLog, site: Site, addresses: Sequence[str]) -> list[str]:
    """Which addresses to compare at: tried ones, then one each that the others gave.

    What controls reached is worth more than what one more resolver says.
    """
    tried = [
        s.address
        for s in trail.steps
        if isinstance(s, Tcp) and s.hop == site.hop and s.role is Role.TARGET
    ]
    dialled = [a for a in tried if a in addresses] or tried
    controls = [a for a in control_addresses(task, site) if a not in dialled]
    rest = [a for a in (*_overtaken(trail, site), *addresses) if a not in dialled]
    chosen = dict.fromkeys([*dialled[:2], *controls[:1], *rest])
    safe = [a for a in chosen if net.safe(a) and (net.ipv6 or ":" not in a)]
    return safe[:ADDRESSES]


def _overtaken(trail: StepLog, site: Site) -> list[str]:
    """Addresses in answers that came after another answer to the same query."""
    asked = [s for s in _queries(trail.steps) if s.name == site.host]
    return [a for s in asked for later in s.replies[1:] for a in later.answers if is_address(a)]


def control_addresses(task: Task, site: Site) -> list[str]:
    """Addresses at which a control reached this host."""
    return [
        step.address
        for control in task.controls
        for step in control.steps
        if isinstance(step, Tls | Http) and step.failure is None
        if _offered(step) == site.host and of_the_site(step)
    ]


async def _compare(task: Task, net: Net, trail: StepLog, site: Site, address: str) -> None:
    """At one address: a harmless name, the target, and when that failed the harmless name again."""
    harmless = _harmless_name(task)
    if harmless is not None:
        await _until_forgotten(net, trail, site, address, harmless)
    seen = any(s.role is Role.TARGET for s in _at(trail, site, address))
    steps = await fetch_from(net, trail, site, address, try_=2)
    page = next((s for s in steps if isinstance(s, Http)), None)
    following = next_url(page)
    usual = address in _given(trail, site)
    if usual and page is not None and following and _goes_on(trail, site, page, following):
        await walk(task, net, trail, Site(following, site.hop + 1), try_=2)
    plainly = page is not None and page.failure is None and page.proven
    if harmless is not None and not plainly and connected(steps):
        await _harmless(net, trail, site, address, harmless)
        if not seen and steps[-1].failure not in {None, Failure.TIMEOUT}:
            await fetch_from(net, trail, site, address, try_=2)  # nothing is concluded from once
            await _harmless(net, trail, site, address, harmless)
    if page is not None and not site.secure and urlsplit(site.url).path not in {"", "/"}:
        await _front_page(net, trail, site, address)


def _given(trail: StepLog, site: Site) -> set[str]:
    """Addresses to which a browser here would go."""
    asked = [s for s in _queries(trail.steps) if s.resolver == "system" and s.name == site.host]
    return {a for s in asked for a in s.addresses} or {site.host}


def _goes_on(trail: StepLog, site: Site, page: Http, following: str) -> bool:
    """A redirect of the site's own that was not followed before."""
    was_there = any(isinstance(s, Http) and s.url == following for s in trail.steps)
    return site.hop < HOPS and not _led_away(page) and not was_there


async def _harmless(net: Net, trail: StepLog, site: Site, address: str, name: str) -> Steps:
    """The same address, asked for a name that nobody minds; twice when a packet may be lost."""
    for try_ in (1, 2):
        if site.secure:
            steps: Iterable[Step | None] = await net.tls(TlsHandshake(address, site.port, name))
        else:
            steps = await net.http(HttpRequest(site.url, address, host=name))
        placed = trail.chain(steps, role=Role.HARMLESS, hop=site.hop, try_=try_)
        if not connected(placed) or placed[-1].failure is not Failure.TIMEOUT:
            break
    return placed


def _harmless_name(task: Task) -> str | None:
    return task.harmless[task.seed % len(task.harmless)] if task.harmless else None


async def _until_forgotten(net: Net, trail: StepLog, site: Site, address: str, name: str) -> None:
    """Offer a harmless name; if the address went silent since the first look, wait and ask again.

    Some boxes punish an address for a while after a name was offered to it.
    """
    reached = connected(_at(trail, site, address))
    for seconds in (*PUNISHED, 0.0):
        placed = await _harmless(net, trail, site, address, name)
        if not reached or connected(placed):
            return
        await net.pause(seconds)


async def _front_page(net: Net, trail: StepLog, site: Site, address: str) -> None:
    """The same host's front page, which tells whether one page is stopped or the site."""
    front = f"http://{urlsplit(site.url).netloc}/"
    steps = await net.http(HttpRequest(front, address))
    trail.chain(steps, role=Role.HARMLESS, hop=site.hop)


async def _own_https(net: Net, trail: StepLog, site: Site, picks: Sequence[str]) -> None:
    """What the same host says where nobody can write into it."""
    parts = urlsplit(site.url)
    if parts.port not in {None, 80}:
        return
    url = f"https://{parts.hostname}{parts.path or '/'}" + (
        f"?{parts.query}" if parts.query else ""
    )
    reached = [s.address for s in trail.steps if isinstance(s, Tcp) and s.failure is None]
    for address in [a for a in picks if a in reached][:2]:
        steps = await net.http(HttpRequest(url, address))
        trail.chain(steps, hop=site.hop, try_=2)


async def _patiently(
    task: Task, net: Net, trail: StepLog, site: Site, picks: Sequence[str]
) -> None:
    """One long look where a silence might be a slow server's.

    No harmless name was answered there either, or the server has confirmed what we asked.
    """
    name = _harmless_name(task)
    for address in picks[:1]:
        mine = [s for s in _at(trail, site, address) if s.role is Role.TARGET]
        silent = [s for s in mine if s.failure is Failure.TIMEOUT and not isinstance(s, Tcp)]
        answered = any(
            isinstance(s, Tls | Http) and s.failure is None
            for s in _at(trail, site, address)
            if s.role is Role.HARMLESS
        )
        worked = any(type(s) is type(silent[-1]) and s.failure is None for s in mine if silent)
        heard = any(s.acknowledged for s in silent)
        if silent and not worked and (heard or not answered):
            await fetch_from(net, trail, site, address, try_=3, limit=PATIENCE)
            if answered and name is not None:  # a comparison needs an answer after it as well
                await _harmless(net, trail, site, address, name)
            await look_at(net, trail, task.references[-1] if task.references else None)


async def _name_elsewhere(task: Task, net: Net, trail: StepLog, site: Site) -> None:
    """Offer the name to a server that has nothing to do with it, between two harmless ones.

    Where only this name fails at its own address, the server may itself be broken for it; an
    unrelated server is not. Never where an address is punished for the name: it would be innocent.
    """
    name = _harmless_name(task)
    looks = (_untrusted_alone(trail, site), _reads_like_a_notice(trail, site))
    if name is None or not (any(looks) or _fails_alone(task, trail, site)):
        return
    strangers = [one.address for one in reversed(task.references) if one.address]
    for stranger in dict.fromkeys(strangers):
        if await _offer_between(net, trail, site, stranger, name):
            return


async def _offer_between(net: Net, trail: StepLog, site: Site, stranger: str, name: str) -> bool:
    """Offer the name there between two harmless ones; False where harmless ones are turned away."""
    for offered, role in ((name, Role.HARMLESS), (site.host, Role.NEUTRAL), (name, Role.HARMLESS)):
        steps: Iterable[Step | None] = (
            await net.tls(TlsHandshake(stranger, 443, offered))
            if site.secure
            else await net.http(HttpRequest(site.url, stranger, host=offered))
        )
        placed = trail.chain(steps, role=role, hop=site.hop, try_=2)
        if role is Role.HARMLESS and not _answers(placed):
            return False
    return True


def _fails_alone(task: Task, trail: StepLog, site: Site) -> bool:
    """This name failed each time after connecting, and right after it a harmless one did not."""
    if control_addresses(task, site):
        return False  # the server is known to be well
    kind = Tls if site.secure else Http
    seen = [s for s in trail.steps if isinstance(s, kind) and s.hop == site.hop]
    own = [s for s in seen if isinstance(s, Tls) or s.url == site.url]
    mine = [s for s in own if s.role is Role.TARGET and _offered(s) == site.host]
    if not mine or any(s.failure is None for s in mine):
        return False
    if any(s.acknowledged is False for s in mine) and not task.controls:
        return False  # dropped on the way: a server that hangs would have confirmed our bytes
    last = mine[-1]
    later = [s for s in own if s.role is Role.HARMLESS and s.at > last.at]
    return any(s.address == last.address and s.bytes_in > 0 for s in later)


def _untrusted_alone(trail: StepLog, site: Site) -> bool:
    """This name was shown a certificate that nobody vouches for, and a harmless one another's."""
    shaken = [s for s in trail.steps if isinstance(s, Tls) and s.hop == site.hop and site.secure]
    mine = [s for s in shaken if s.role is Role.TARGET and s.sni == site.host and s.trust]
    if not mine or any(s.trust is not None and s.trust.anchored for s in mine):
        return False
    here = [s for s in shaken if s.role is Role.HARMLESS and s.address == mine[-1].address]
    others = [s for s in here if s.trust is not None]
    return bool(others) and not any(same_issuer(s.trust, mine[-1].trust) for s in others)


def _reads_like_a_notice(trail: StepLog, site: Site) -> bool:
    """What came over plain http is no page, leads off the site, or speaks of blocking."""
    if site.secure:
        return False
    mine = [s for s in trail.steps if isinstance(s, Http) and s.role is Role.TARGET]
    pages = [s for s in mine if s.url == site.url and (s.malformed or s.status is not None)]
    return bool(pages) and all(s.malformed or _led_away(s) or reads_like_one(s) for s in pages)


def _offered(step: Tls | Http) -> str | None:
    return step.sni if isinstance(step, Tls) else step.host.partition(":")[0]


def _answers(steps: Steps) -> bool:
    return any(isinstance(s, Tls | Http) and s.failure is None for s in steps)


def _at(trail: StepLog, site: Site, address: str) -> list[Tcp | Tls | Http]:
    return [
        s
        for s in trail.steps
        if isinstance(s, Tcp | Tls | Http) and s.address == address and s.hop == site.hop
    ]


EXPERIMENT = Experiment("web", 1, measure, confirm, wanted, fetches_pages=True)
