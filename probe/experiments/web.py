"""Open a site as a browser would, step by step; where that leaves something open, compare.

The confirmation measures the same address with a harmless name before and after, the other
resolvers' addresses and the same host over https, between reference measurements. What any of it
means is decided elsewhere; `probe/analysis/web_suspicion.py` says where more is to be measured.
"""

from collections.abc import Awaitable, Sequence
from functools import partial
from urllib.parse import urlsplit

from probe.analysis import web_suspicion
from probe.analysis.web_suspicion import (
    HopView,
    control_addresses,
    leaves_site,
    line_is_silent,
    next_url,
)
from probe.compare import is_address
from probe.experiments.browse import (
    ADDRESSES,
    HOPS,
    UrlHop,
    connected,
    fetch_from,
    follow,
    measure_reference,
    resolve,
)
from probe.experiments.doubtful_address import fetch_plain_page
from probe.experiments.interface import Experiment, Net, Reference, Share, Task
from probe.experiments.interleave import Offer, offer_elsewhere, tls_offer
from probe.experiments.name_follow_ups import query_further
from probe.experiments.operations import DnsQuery, HttpRequest
from probe.experiments.place_of_silence import find_place
from probe.experiments.silence import compare_frozen, send_small
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Http, Role, Steps, Tcp

PATIENCE = 12.0
# The pause before an address is tried again that stopped answering after an offer, seconds. With
# the silence before it, it outlasts a block of 20 s; longer ones would hold up a run of one site.
PUNISHED = 14.0
_SPARE = 2


async def measure(task: Task, net: Net) -> Steps:
    """Open the URL once, as a browser would."""
    log = StepLog()
    await follow(task, net, log, UrlHop(task.url), try_=1)
    return log.steps


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Whether this is anything but a proven page, reached over proven hops or within the site."""
    return web_suspicion.needs_confirmation(steps)


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Measure the open hops again, between reference measurements, and compare."""
    log = StepLog(seen)
    for hop in _open_hops(task, log):
        await _confirm_hop(task, net, log, hop)
    return log.steps


async def _confirm_hop(task: Task, net: Net, log: StepLog, hop: UrlHop) -> None:
    begun = len(log.steps)
    asks: list[Awaitable[list[str] | None]] = [
        measure_reference(net, log, task.reference),
        resolve(task, net, log, hop, try_=2),
    ]
    _, addresses = await net.together(asks)
    chosen = _choose(task, net, log, hop, addresses or ())
    comparing = [_compare(task, net, log, hop, one) for one in chosen]
    further = (query_further(task, net, log, hop), fetch_plain_page(net, log, hop))
    await net.together([*further, *comparing])
    if not hop.secure and chosen:
        await _fetch_https(net, log, hop, chosen)
    closer = [_look_closer(task, net, log, hop, one, begun=begun) for one in chosen[:1]]
    asks = [measure_reference(net, log, task.reference), *closer]
    view = _view(task, log, hop)
    if any(map(view.may_be_slow, chosen[:1])):  # then a longer look decides whether it fails
        await net.together(asks)
        await _offer_elsewhere(task, net, log, hop)
    else:
        await net.together([*asks, _offer_elsewhere(task, net, log, hop)])
    for address in chosen[:1]:
        await find_place(task, net, log, hop, address)


def _open_hops(task: Task, log: StepLog) -> list[UrlHop]:
    """The first hop from which an unproven redirect left the site, and the last hop."""
    hop = UrlHop(task.url)
    left: list[UrlHop] = []
    for step in log.steps:
        if isinstance(step, Http) and step.hop == hop.number and step.role is Role.TARGET:
            following = next_url(step)
            if following is None or hop.number >= HOPS:
                break
            if leaves_site(step):
                left.append(hop)
            hop = UrlHop(following, step.hop + 1)
    return [*left[:1], hop]


def _view(task: Task, log: StepLog, hop: UrlHop) -> HopView:
    return HopView(log.steps, task.controls, hop.url, hop.number)


def _queries(log: StepLog, hop: UrlHop) -> list[Dns]:
    return [s for s in log.steps if isinstance(s, Dns) and s.name == hop.host]


def _choose(task: Task, net: Net, log: StepLog, hop: UrlHop, addresses: Sequence[str]) -> list[str]:
    """Which addresses to compare at: those already tried, one of the controls', then the others.

    Among the others, addresses in answers that came after another answer to the same query go
    first: the first answer may have been injected.
    """
    tried = [
        s.address
        for s in log.steps
        if isinstance(s, Tcp) and s.hop == hop.number and s.role is Role.TARGET
    ]
    dialled = [a for a in tried if a in addresses] or tried
    controls = [a for a in control_addresses(task.controls, hop.host) if a not in dialled]
    later = [r for query in _queries(log, hop) for r in query.replies[1:]]
    overtaken = [a for reply in later for a in reply.answers if is_address(a)]
    rest = [a for a in (*overtaken, *addresses) if a not in dialled]
    chosen = dict.fromkeys([*dialled[:2], *controls[:1], *rest])
    safe = [a for a in chosen if net.safe(a) and (net.ipv6 or ":" not in a)]
    return safe[:ADDRESSES]


# --- at one address ---------------------------------------------------------------------------


async def _compare(task: Task, net: Net, log: StepLog, hop: UrlHop, address: str) -> None:
    """A harmless name, the target, and the harmless name again unless that was a proven page."""
    harmless = task.harmless_name
    tried = any(s.role is Role.TARGET for s in _view(task, log, hop).at(address))
    steps = await _fetch_after_harmless(task, net, log, hop, address)
    page = next((s for s in steps if isinstance(s, Http)), None)
    await _follow_own_redirect(task, net, log, hop, page)
    proven = page is not None and page.failure is None and page.proven
    if harmless is not None and not proven and connected(steps):
        await _offer_harmless(task, net, log, hop, address)
        if not tried and steps[-1].failure not in {None, Failure.TIMEOUT}:
            await fetch_from(net, log, hop, address, try_=2)  # one failure proves nothing
            await _offer_harmless(task, net, log, hop, address)
    parts = urlsplit(hop.url)
    if page is not None and not hop.secure and parts.path not in {"", "/"}:
        # The host's front page shows whether one page is blocked or the whole site.
        front = await net.http(HttpRequest(f"http://{parts.netloc}/", address))
        log.chain(front, role=Role.HARMLESS, hop=hop.number)


async def _fetch_after_harmless(
    task: Task, net: Net, log: StepLog, hop: UrlHop, address: str
) -> Steps:
    """Offer a harmless name, then fetch; at once where the name cannot matter, or has failed."""
    view = _view(task, log, hop)
    harmless = task.harmless_name
    fetch = partial(_fetch_again, task, net, log, hop, address)
    if harmless is None:
        return await fetch()
    offer = _offer_at(net, log, hop, address, hop.port)
    if not view.refuses_connections(address):
        offered = await _offer_until_reached(task, net, log, hop, address)
        if _view(task, log, hop).is_silent_alone(address):
            return await _fetch_beside_elsewhere(task, net, log, hop, fetch())
        if not _is_silent(offered):
            return await fetch()
        again = 2  # a packet may have been lost
    else:
        again = 1
    _, steps = await net.together([offer(harmless, Role.HARMLESS, again), fetch()])
    return steps


async def _fetch_beside_elsewhere(
    task: Task, net: Net, log: StepLog, hop: UrlHop, fetch: Awaitable[Steps]
) -> Steps:
    """Fetch, and offer the name to an unrelated server meanwhile: both are probably silent."""
    asks: list[Awaitable[Steps | None]] = [
        fetch,
        _offer_at_unrelated(task, net, log, hop, task.references),
    ]
    steps, _ = await net.together(asks)
    return steps or ()


async def _fetch_again(task: Task, net: Net, log: StepLog, hop: UrlHop, address: str) -> Steps:
    """Fetch once more; from a server that hangs with patience, and what tells why meanwhile.

    That is the request in small packets, and at an unrelated server.
    """
    view = _view(task, log, hop)
    if not view.hangs(address):
        return await fetch_from(net, log, hop, address, try_=2)
    asks: list[Awaitable[Steps | bool | None]] = [
        fetch_from(net, log, hop, address, try_=2, limit=PATIENCE),
        send_small(task, net, log, hop, address, least=1),
    ]
    if view.fails_within_tls():
        asks.append(_request_at_unrelated(task, net, log, hop))
    steps, *_ = await net.together(asks)
    return steps if isinstance(steps, tuple) else ()


async def _follow_own_redirect(
    task: Task, net: Net, log: StepLog, hop: UrlHop, page: Http | None
) -> None:
    """Follow a redirect within the site, from an address that a browser here would use, once."""
    following = next_url(page)
    if page is None or following is None or hop.number >= HOPS or leaves_site(page):
        return
    system = [s for s in _queries(log, hop) if s.resolver == "system"]
    usual = {a for s in system for a in s.addresses} or {hop.host}
    fetched = any(isinstance(s, Http) and s.url == following for s in log.steps)
    if page.address in usual and not fetched:
        await follow(task, net, log, UrlHop(following, hop.number + 1), try_=2)


async def _offer_harmless(task: Task, net: Net, log: StepLog, hop: UrlHop, address: str) -> None:
    """Offer the harmless name at the address once more.

    Twice where a packet may have been lost: not where no such name was ever answered.
    """
    offer = _offer_at(net, log, hop, address, hop.port)
    answered = _view(task, log, hop).harmless_answered(address)
    for try_ in (1, 2) if answered else (1,):
        if not _is_silent(await offer(task.harmless_name or "", Role.HARMLESS, try_)):
            return


def _is_silent(steps: Steps) -> bool:
    return connected(steps) and steps[-1].failure is Failure.TIMEOUT


def _offer_at(net: Net, log: StepLog, hop: UrlHop, address: str, port: int) -> Offer:
    """Offers a name as the hop's URL does: in a handshake, or in a request over plain http."""
    if hop.secure:
        return tls_offer(net, log, address, port, hop=hop.number)

    async def offer(name: str, role: Role, try_: int) -> Steps:
        steps = await net.http(HttpRequest(hop.url, address, host=name))
        return log.chain(steps, role=role, hop=hop.number, try_=try_)

    return offer


def _request_within_tls(net: Net, log: StepLog, hop: UrlHop, address: str) -> Offer:
    """Offers a name in a handshake, and asks for its front page within TLS."""

    async def offer(name: str, role: Role, try_: int) -> Steps:
        steps = await net.http(HttpRequest(f"https://{hop.host}/", address, host=name, sni=name))
        return log.chain(steps, role=role, hop=hop.number, try_=try_)

    return offer


async def _offer_until_reached(
    task: Task, net: Net, log: StepLog, hop: UrlHop, address: str
) -> Steps:
    """Offer the harmless name; if the address no longer connects, pause and offer it again.

    Some middleboxes block an address for a while after a name was offered to it.
    """
    reached = connected(_view(task, log, hop).at(address))
    offer = _offer_at(net, log, hop, address, hop.port)
    steps = await offer(task.harmless_name or "", Role.HARMLESS, 1)
    if reached and not connected(steps):
        await net.pause(PUNISHED)
        steps = await offer(task.harmless_name or "", Role.HARMLESS, 1)
    return steps


async def _fetch_https(net: Net, log: StepLog, hop: UrlHop, chosen: Sequence[str]) -> None:
    """Fetch the same page over https, where nothing on the path can alter it.

    Where no address connects at the plain port, too: it may be closed for every client.
    """
    parts = urlsplit(hop.url)
    if parts.port not in {None, 80}:
        return
    query = f"?{parts.query}" if parts.query else ""
    url = f"https://{parts.hostname}{parts.path or '/'}{query}"
    reached = [s.address for s in log.steps if isinstance(s, Tcp) and s.failure is None]
    addresses = ([a for a in chosen if a in reached] or chosen)[:2]
    for steps in await net.together([net.http(HttpRequest(url, one)) for one in addresses]):
        log.chain(steps, hop=hop.number, try_=2)


async def _look_closer(
    task: Task, net: Net, log: StepLog, hop: UrlHop, address: str, *, begun: int
) -> None:
    """Look at a silence again: in small packets, under another name, with patience.

    Nothing of it shows anything where nothing at all answers (`begun`: the first step that counts).
    """
    if line_is_silent(log.steps[begun:]):
        return
    if await send_small(task, net, log, hop, address):
        return
    if not await compare_frozen(task, net, log, hop, address):
        await _wait_longer(task, net, log, hop, address)


async def _wait_longer(task: Task, net: Net, log: StepLog, hop: UrlHop, address: str) -> None:
    """Fetch once with a long limit, where a silence may be a slow server's."""
    view = _view(task, log, hop)
    if not view.may_be_slow(address) or view.waited(address, PATIENCE):
        return
    await fetch_from(net, log, hop, address, try_=3, limit=PATIENCE)
    if view.harmless_answered(address) and task.harmless_name is not None:
        # A comparison needs an answer after it as well.
        await _offer_harmless(task, net, log, hop, address)
    await measure_reference(net, log, task.references[-1] if task.references else None)


async def _offer_elsewhere(task: Task, net: Net, log: StepLog, hop: UrlHop) -> None:
    """Offer the name to an unrelated server, where it alone failed or was answered strangely.

    Also where the address answers nothing since: the site's own filter may have banned this client.
    And where it shakes hands and answers no request: the server may hang, or what is on the way
    stops a connection some packets after the name.
    """
    view = _view(task, log, hop)
    if view.was_offered_elsewhere():
        return
    if view.differs_for_this_name():
        await _offer_at_unrelated(task, net, log, hop, task.references)
    elif view.fails_within_tls():
        await _request_at_unrelated(task, net, log, hop)
    elif task.harmless and view.stopped_answering():
        spare = await _spare_servers(task, net, log, hop)
        if spare:
            await _offer_at_unrelated(task, net, log, hop, spare)
            await measure_reference(net, log, task.reference)


async def _offer_at_unrelated(
    task: Task, net: Net, log: StepLog, hop: UrlHop, servers: Sequence[Reference]
) -> None:
    """Offer the name to an unrelated server, between harmless ones."""
    if task.harmless_name is not None:
        elsewhere = partial(_offer_at, net, log, hop, port=443)
        await offer_elsewhere(servers, elsewhere, hop.host, task.harmless_name)


async def _request_at_unrelated(task: Task, net: Net, log: StepLog, hop: UrlHop) -> None:
    """Ask an unrelated server for the name's front page within TLS, between harmless ones."""
    if task.harmless_name is not None:
        request_at = partial(_request_within_tls, net, log, hop)
        await offer_elsewhere(task.references, request_at, hop.host, task.harmless_name)


async def _spare_servers(task: Task, net: Net, log: StepLog, hop: UrlHop) -> list[Reference]:
    """The own servers of two harmless names.

    A middlebox that blocks an address after the name would take a reference site from the run.
    """
    at = task.seed % len(task.harmless)
    names = (*task.harmless[at:], *task.harmless[:at])[:_SPARE]
    answers = await net.together([net.dns(DnsQuery(one, net.resolvers[0])) for one in names])
    for answer in answers:
        log.add(answer, role=Role.HARMLESS, hop=hop.number)
    found = [(answer.name, one) for answer in answers for one in answer.addresses[:1]]
    return [Reference(f"https://{name}/", one) for name, one in reversed(found) if net.safe(one)]


EXPERIMENT = Experiment(
    "web",
    1,
    measure,
    confirm,
    needs_confirmation,
    profiles={"full": Share(), "quick": Share(targets=24), "watch": Share(targets=5)},
    fetches_pages=True,
)
