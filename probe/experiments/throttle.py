"""Is this name slowed on purpose? Pairs of transfers that differ in nothing but the name.

With a bulk server: arm A offers the target's name there, arm B a random name of the same length;
same address, port, bytes, ClientHello length. Then, unless bytes are expensive, one transfer (arm
C) from the target's own address. Where that is slow, or where there is no bulk server, arms C and D
compare the target's name with another one at the target's own address: weaker evidence, because
the server may treat its names differently. A bulk server that is out of reach, or that does not
prove its key, is not used.

Where the names are equally fast, arms E and F compare them once more, later in a connection: some
limits begin after seconds, or after hundreds of kilobytes. This costs more bytes, so candidates get
it while most of the day's quota is left, and targets that drew suspicion while any of it is.
"""

from msgspec.structs import replace

from probe.analysis.neutral_rate import vouched_for
from probe.analysis.paired_test import (
    Judgement,
    PairState,
    broke,
    judge_pairs,
    order,
    out_of_reach,
    pair_up,
    rate,
)
from probe.compare import is_address
from probe.experiments.interface import Experiment, FollowUp, Net, Share, Task
from probe.experiments.operations import DnsQuery, HttpRequest
from probe.experiments.option import FLAG, one_of, whole
from probe.experiments.step_log import StepLog
from probe.experiments.throughput import (
    BULK,
    LATE,
    TIERS,
    TransferPlan,
    TransferRunner,
    TransferServer,
    first_reachable,
    servers,
    tier_of,
)
from probe.model import Http, Steps, Transfer
from probe.ordering import host_of, keyed, port_of
from probe.reference_data import harmless_pairs

# An object smaller than this shows no rate.
LEAST_BYTES = 16 * 1024
CANDIDATES = 4
REDIRECTS = 2
# A device that resets us by the name leaves the connection open at the bulk server, for ten seconds
# and of four connections a client: the next name must not meet that limit.
LEFT_OPEN_SECONDS = 3.0
# On a slower line a later comparison takes long and shows few limits, bytes a second.
FAST = 250_000
# What later comparisons of mere candidates leave of a day's quota: room to compare the others.
KEPT = 3 / 4
_PURPOSE = "throttle-candidate"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SLOWER = frozenset({PairState.SUSPECTED, PairState.STRONG, PairState.EXTREME})


async def measure(task: Task, net: Net) -> Steps:
    """Compare the names until the paired test needs no more pairs."""
    runner = TransferRunner(task, net, StepLog())
    server = await first_reachable(runner, servers(task))
    if server is None:
        await _compare_own_address(runner)
        return runner.log.steps
    name = host_of(task.url)
    tested = TransferPlan("A", 0, _sni(name), name, server, tier_of(task))
    control = replace(tested, arm="B", sni=control_name(name, task.seed))
    found = await _compare(runner, tested, control)
    lost = out_of_reach(found)
    if found.pairs:
        runner.health.note(server.address, server.port, reached=not lost)
    own_too = bool(task.options.get("own_address", tier_of(task) != TIERS["metered"]))
    if lost:
        await _compare_own_address(runner)
    elif found.state in {PairState.OK, PairState.SLOW_BOTH} and own_too:
        await _compare_own_address(runner, found)
    if _looks_later(runner, found):
        later = replace(tested, arm="E", tier=LATE)
        await _compare(runner, later, replace(later, arm="F", sni=control.sni))
    return runner.log.steps


def _looks_later(runner: TransferRunner, found: Judgement) -> bool:
    """Nothing was found, the line is fast enough to look later, and the bytes can be spared."""
    if found.state is not PairState.OK:
        return False
    task = runner.task
    chosen = task.options.get("later")
    if isinstance(chosen, bool):
        return chosen
    fast = all((rate(step) or 0.0) >= FAST for step in found.control)
    beside = 0.0 if task.suspected else KEPT
    affordable = tier_of(task) != TIERS["metered"] and runner.affords(LATE, 2, beside=beside)
    return fast and affordable


def _sni(name: str) -> str | None:
    return None if is_address(name) else name


async def _compare(
    runner: TransferRunner, tested: TransferPlan, control: TransferPlan
) -> Judgement:
    """Pairs, in alternating order, until the paired test has seen enough."""
    plans = {tested.arm: tested, control.arm: control}
    found = judge_pairs(runner.transfers, tested.arm, control.arm)
    while found.open:
        done = len(pair_up(runner.transfers, tested.arm, control.arm))
        for arm in order(done, tested.arm, control.arm):
            step = await runner.run(replace(plans[arm], pair=done + 1))
            if arm in {"A", "E"} and _left_open(step):
                await runner.net.pause(LEFT_OPEN_SECONDS)
        found = judge_pairs(runner.transfers, tested.arm, control.arm)
    if found.state in _SLOWER and not tested.tier.hold:
        # A slowed flow costs few bytes, and ten seconds of it show its plateau and the limiter.
        await runner.run(replace(tested, tier=TIERS["deep"]))
    return found


def _left_open(step: Transfer) -> bool:
    """The connection was cut at the hello, and the server may not know it."""
    return broke(step) and step.connect_seconds is not None and step.handshake_seconds is None


def control_name(name: str, seed: int) -> str:
    """A random name of the same length and shape; the same seed gives the same name."""
    body, dot, last = name.rpartition(".")
    source = keyed(seed, "control name", name)
    letters: list[str] = []
    for character in body:
        source, letter = divmod(source or keyed(seed, name, str(len(letters))), len(_LETTERS))
        letters.append("." if character == "." else _LETTERS[letter])
    return "".join(letters) + dot + last


# --- C and D: the target's own address --------------------------------------------------------


async def _compare_own_address(runner: TransferRunner, by_name: Judgement | None = None) -> None:
    """Compare the target's name with another one that its own address serves, in pairs.

    After a comparison at a bulk server (`by_name`), only if one transfer shows that the address is
    slow or broken.
    """
    found = await _find_own_server(runner)
    if found is None:
        return
    # A server that gave this name no page has nothing to time, and each try would be a timeout.
    if by_name is None and not any(isinstance(step, Http) for step in runner.log.steps):
        return
    server, name = found
    tested = TransferPlan("C", 0, _sni(name), name, server, tier_of(runner.task))
    if by_name is not None:
        step = await runner.run(tested)
        if step.ended == "budget" or vouched_for(step, by_name):
            return
    for control in _controls(runner, tested):
        first = await runner.run(control)
        if first.ended == "budget":
            return
        if _is_usable(first):
            await _compare(runner, tested, control)
            return


def _is_usable(step: Transfer) -> bool:
    enough = step.received_bytes >= LEAST_BYTES or step.ended == "full"
    return step.ended in {"full", "cap"} and enough and (step.status or 599) < 400


def _controls(runner: TransferRunner, tested: TransferPlan) -> list[TransferPlan]:
    """Names to compare with; first under the target's own Host: then only TLS differs."""
    name = tested.sni or ""
    paired = harmless_pairs().get(name)
    names = [*([paired] if paired else []), *(n for n in runner.task.harmless if n != name)]
    same = [replace(tested, arm="D", sni=other) for other in names[:2]]
    root = replace(tested.server, path="/")
    served = [replace(tested, arm="D", sni=other, host=other, server=root) for other in names[:2]]
    return [*same, *served][:CANDIDATES]


async def _find_own_server(runner: TransferRunner) -> tuple[TransferServer, str] | None:
    """Resolve the target, follow its redirects within the site; the server and name to measure."""
    url, found = runner.task.url, None
    for hop in range(REDIRECTS + 1):
        address = await _resolve(runner, host_of(url), hop)
        if address is None:
            return found
        port = port_of(url) if url.startswith("https:") else 443
        path = "/" + url.split("/", 3)[3] if url.count("/") >= 3 else "/"
        found = TransferServer(address, port, path), host_of(url)
        steps = runner.log.chain(await runner.net.http(HttpRequest(url, address)), hop=hop)
        page = steps[-1] if steps else None
        if not isinstance(page, Http) or not page.location or not _same_site(url, page.location):
            return found
        url = page.location
    return found


async def _resolve(runner: TransferRunner, host: str, hop: int) -> str | None:
    if is_address(host):
        return host if runner.net.safe(host) else None
    for resolver in runner.net.resolvers[:3]:
        step = runner.log.add(await runner.net.dns(DnsQuery(host, resolver)), hop=hop)
        usable = [address for address in step.addresses if runner.net.safe(address)]
        if usable:
            return usable[0]
    return None


def _same_site(url: str, location: str) -> bool:
    """The same name with or without `www.`: another name's speed is another site's."""
    here, there = (host_of(text).removeprefix("www.") for text in (url, location))
    return here == there and location.startswith(("http:", "https:"))


EXPERIMENT = Experiment(
    "throttle",
    1,
    measure,
    exclusive=True,
    follow_up=FollowUp(most=3, seconds=45.0),
    profiles={
        "full": Share(_PURPOSE, targets=60, seconds=300.0, bytes=20_000_000),
        "quick": Share(_PURPOSE, targets=2, seconds=20.0, bytes=2_000_000),
        "watch": Share(_PURPOSE, targets=2, seconds=60.0, bytes=600_000),
    },
    given=frozenset({"bulk_servers", "daily_quota"}),
    takes={
        "daily_bytes": whole(0),
        "unmetered": FLAG,
        "tier": one_of(*TIERS),
        "own_address": FLAG,
        "later": FLAG,
        "bulk": BULK,
    },
)
