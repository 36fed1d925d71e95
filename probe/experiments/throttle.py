"""Is this name slowed on purpose? Pairs of transfers that differ in nothing but the name.

With a bulk server: arm A offers the target's name there, arm B a name of the same length that is
nobody's; same address, port, bytes, ClientHello length. Then, unless bytes are dear, one look (arm
C) at the target's own address. Where that is slow, or where there is no bulk server, arms C and D
compare the target's name with another one at the target's own address: weaker evidence, because
the server may treat its names differently. A bulk server that is out of reach, or that does not
prove its key, is no bulk server.
"""

from dataclasses import replace

from probe.analysis.neutral_rate import vouched_for
from probe.analysis.paired_test import (
    Judgement,
    PairState,
    judge_pairs,
    order,
    out_of_reach,
    pair_up,
)
from probe.compare import is_address
from probe.experiments.interface import Experiment, FollowUp, Net, Task
from probe.experiments.operations import DnsQuery, HttpRequest
from probe.experiments.option import FLAG, one_of, whole
from probe.experiments.step_log import StepLog
from probe.experiments.throughput import (
    BULK,
    TIERS,
    Look,
    Peer,
    TransferRunner,
    answering,
    servers,
    tier_of,
)
from probe.model import Http, Steps, Transfer
from probe.ordering import host_of, keyed, port_of
from probe.reference_data import harmless_pairs

# Less than this is a greeting, not an object that a rate can be told from.
LEAST_BYTES = 16 * 1024
CANDIDATES = 4
REDIRECTS = 2
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SUSPICIOUS = frozenset({PairState.SUSPECTED, PairState.STRONG, PairState.EXTREME})


async def measure(task: Task, net: Net) -> Steps:
    """Compare the names, and say no more about what it means than is needed to stop."""
    mover = TransferRunner(task, net, StepLog())
    peer = await answering(mover, servers(task))
    if peer is None:
        await _own_address(mover)
        return mover.trail.steps
    found = await _by_name(mover, peer)
    lost = out_of_reach(found)
    if found.pairs:
        mover.standing.note(peer.address, peer.port, reached=not lost)
    if lost:
        await _own_address(mover)
    elif found.state in {PairState.OK, PairState.SLOW_BOTH} and _own_address_too(task):
        await _one_look(mover, found)
    return mover.trail.steps


def _own_address_too(task: Task) -> bool:
    return bool(task.options.get("own_address", tier_of(task) != TIERS["metered"]))


# --- A and B: the name alone ------------------------------------------------------------------


async def _by_name(mover: TransferRunner, peer: Peer) -> Judgement:
    name = host_of(mover.task.url)
    tested = Look("A", 0, _sni(name), name, peer, tier_of(mover.task))
    control = replace(tested, arm="B", sni=control_name(name, mover.task.seed))
    return await _compare(mover, tested, control)


async def _compare(mover: TransferRunner, tested: Look, control: Look) -> Judgement:
    found = await _sequence(mover, tested, control)
    if found.state in _SUSPICIOUS:
        # A throttled flow costs little, and ten seconds of it tell its plateau and mechanism.
        await mover.move(replace(tested, tier=TIERS["deep"]))
    return found


def _sni(name: str) -> str | None:
    return None if is_address(name) else name


async def _sequence(mover: TransferRunner, tested: Look, control: Look) -> Judgement:
    """Pairs, in alternating order, until the rule has seen enough."""
    looks = {tested.arm: tested, control.arm: control}
    found = judge_pairs(mover.transfers, tested.arm, control.arm)
    while found.open:
        done = len(pair_up(mover.transfers, tested.arm, control.arm))
        for arm in order(done, tested.arm, control.arm):
            await mover.move(replace(looks[arm], pair=done + 1))
        found = judge_pairs(mover.transfers, tested.arm, control.arm)
    return found


def control_name(name: str, seed: int) -> str:
    """A name that is nobody's, of the same length and shape, and the same for the same seed."""
    body, dot, last = name.rpartition(".")
    source = keyed(seed, "control name", name)
    letters: list[str] = []
    for place in body:
        source, letter = divmod(source or keyed(seed, name, str(len(letters))), len(_LETTERS))
        letters.append("." if place == "." else _LETTERS[letter])
    return "".join(letters) + dot + last


# --- C and D: the target's own address --------------------------------------------------------


async def _one_look(mover: TransferRunner, by_name: Judgement) -> None:
    """See once what a user sees, and compare further only if that is slow or broken."""
    found = await _scout(mover)
    if found is None:
        return
    peer, name = found
    tested = Look("C", 0, _sni(name), name, peer, tier_of(mover.task))
    step = await mover.move(tested)
    if step.ended == "budget" or vouched_for(step, by_name):
        return
    await _compare_there(mover, tested)


async def _own_address(mover: TransferRunner) -> None:
    found = await _scout(mover)
    if found is not None:
        peer, name = found
        await _compare_there(mover, Look("C", 0, _sni(name), name, peer, tier_of(mover.task)))


async def _compare_there(mover: TransferRunner, tested: Look) -> None:
    """Find a name that this address serves, then compare the two in pairs."""
    for control in _others(mover.task, tested):
        first = await mover.move(control)
        if first.ended == "budget":
            return
        if _usable(first):
            await _compare(mover, tested, control)
            return


def _usable(step: Transfer) -> bool:
    enough = step.received_bytes >= LEAST_BYTES or step.ended == "full"
    return step.ended in {"full", "cap"} and enough and (step.status or 599) < 400


def _others(task: Task, tested: Look) -> list[Look]:
    """Names to compare with; first under the target's own Host: then only TLS differs."""
    name = tested.sni or ""
    paired = harmless_pairs().get(name)
    names = [*([paired] if paired else []), *(n for n in task.harmless if n != name)]
    same = [replace(tested, arm="D", sni=other) for other in names[:2]]
    served = [
        replace(tested, arm="D", sni=other, host=other, peer=replace(tested.peer, path="/"))
        for other in names[:2]
    ]
    return [*same, *served][:CANDIDATES]


async def _scout(mover: TransferRunner) -> tuple[Peer, str] | None:
    """Resolve the target, follow its redirects within the site, and give back where to measure."""
    url, found = mover.task.url, None
    for hop in range(REDIRECTS + 1):
        address = await _resolve(mover, host_of(url), hop)
        if address is None:
            return found
        port = port_of(url) if url.startswith("https:") else 443
        path = "/" + url.split("/", 3)[3] if url.count("/") >= 3 else "/"
        found = Peer(address, port, path), host_of(url)
        steps = mover.trail.chain(await mover.net.http(HttpRequest(url, address)), hop=hop)
        page = steps[-1] if steps else None
        if not isinstance(page, Http) or not page.location or not _same_site(url, page.location):
            return found
        url = page.location
    return found


async def _resolve(mover: TransferRunner, host: str, hop: int) -> str | None:
    if is_address(host):
        return host if mover.net.safe(host) else None
    for resolver in mover.net.resolvers[:3]:
        step = mover.trail.add(await mover.net.dns(DnsQuery(host, resolver)), hop=hop)
        usable = [address for address in step.addresses if mover.net.safe(address)]
        if usable:
            return usable[0]
    return None


def _same_site(url: str, location: str) -> bool:
    """The same name with or without `www.`: anything else is another site's speed."""
    here, there = (host_of(text).removeprefix("www.") for text in (url, location))
    return here == there and location.startswith(("http:", "https:"))


EXPERIMENT = Experiment(
    "throttle",
    1,
    measure,
    exclusive=True,
    follow_up=FollowUp(most=3, seconds=45.0),
    given=frozenset({"bulk_servers", "daily_quota"}),
    takes={
        "daily_bytes": whole(0),
        "unmetered": FLAG,
        "tier": one_of(*TIERS),
        "own_address": FLAG,
        "bulk": BULK,
    },
)
