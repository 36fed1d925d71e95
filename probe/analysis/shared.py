"""What the line does to unrelated servers alike around one moment.

A failure that nearly every server shows at the same time is a property of the line (a closed port,
a login page, a missing route, a session that ended), and accuses no network of stopping one site.
Each attempt is reduced to its *kind* (operation, port, address family) and its *sign* (how it
ended), and the attempts of other hosts near in time are counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from types import MappingProxyType

from probe.analysis import silence_place
from probe.analysis.host_attempts import Attempts, HostAttempt, Kind, Texts
from probe.analysis.packet_size import limited
from probe.compare import host_of, is_bogon, page_sign, prefix_of, registrable
from probe.model import Dns, Http, Role, SharedOutcome, Step, Tcp, Tls

NEAR_SECONDS = 120.0
# With fewer other hosts than this, alike is chance; "nearly all" leaves room for one in ten.
LEAST_HOSTS = 2
# In an autonomous system, which is larger: other hosts, in two of its networks at least.
LEAST_IN_SYSTEM = 3
_OTHERS_ALLOWED = 0.1
FINE = "ok"
_COUNTED = frozenset({Role.TARGET, Role.REFERENCE, Role.NEUTRAL})


def kind_and_sign(step: Step) -> tuple[Kind, str] | None:
    """What was attempted (operation, port, address family; 0: none) and how it ended."""
    if silence_place.ttl_of(step):
        return None  # not meant to reach the server
    match step:
        case Dns() if step.resolver == "system" and step.type == "A":
            return ("dns", 0, 0), _answer_sign(step)
        case Tcp():
            family = 6 if ":" in step.address else 4
            return ("tcp", step.port, family), step.failure or FINE
        case Tls() if step.sni:
            return ("tls", step.port, 0), _chain_sign(step)
        case Http() if step.hop == 0:
            return _page_kind(step)
        case _:
            return None


def _page_kind(step: Http) -> tuple[Kind, str] | None:
    """A page over TLS counts by how it ended: it is the host's own, and differs from others."""
    if step.url.startswith("https:"):
        return ("https", step.port, 0), step.failure or FINE
    return None if step.proven else (("http", step.port, 0), _page_sign(step))


def _answer_sign(step: Dns) -> str:
    if step.failure is not None:
        return step.failure
    return "address " + min(step.addresses) if step.addresses else FINE


def _chain_sign(step: Tls) -> str:
    if step.failure is not None and step.trust is None:
        return step.failure
    trust = step.trust
    if trust is None or trust.valid or trust.anchored or not trust.issuer_key:
        return FINE
    return f"key {trust.issuer_key}"


def _page_sign(step: Http) -> str:
    if step.malformed:
        return "malformed"
    if step.failure is not None:
        return step.failure
    return page_sign(step) or FINE


def attempts(steps: Sequence[Step], began: float, own: str = "") -> list[tuple[Kind, HostAttempt]]:
    """The attempts in some steps that count as a host's own.

    A harmless name at a target's address shows that the line carries this kind of operation, and
    nothing of another server: it counts only where it was answered.

    Args:
        steps: Of one record, or of the looks at reference sites.
        began: When the steps count from, seconds since the epoch.
        own: The host of the record, for connections that no name is known of.
    """
    names, small = _names(steps), limited(steps)
    found = []
    for step in steps:
        known = kind_and_sign(step) if step.id not in small else None
        if known is None or (isinstance(step, Tcp) and is_bogon(step.address) and step.failure):
            continue
        kind, sign = known
        harmless = step.role is Role.HARMLESS
        if step.role not in _COUNTED and not (harmless and sign == FINE and kind[0] != "tcp"):
            continue
        address = "" if isinstance(step, Dns) else getattr(step, "address", "")
        host = _host(step) or names.get(address) or (own if step.role is Role.TARGET else address)
        if host:
            at = began + step.at + step.elapsed
            found.append((kind, HostAttempt(at, registrable(host), address, sign)))
    return found


def _names(steps: Iterable[Step]) -> dict[str, str]:
    """The name that was looked for at each address."""
    names: dict[str, str] = {}
    for step in steps:
        if step.role is Role.HARMLESS:
            continue
        if isinstance(step, Dns):
            names.update(dict.fromkeys(step.addresses, step.name))
        elif isinstance(step, Tls | Http):
            names.setdefault(step.address, _host(step))
    return names


def _host(step: Step) -> str:
    match step:
        case Dns():
            return step.name
        case Tls():
            return step.sni or ""
        case Http():
            return step.host.partition(":")[0] or host_of(step.url)
        case _:
            return ""


def network_of(address: str) -> str:
    """The network that one hoster has at least: a /24, or a /48 of IPv6; empty for no address."""
    return prefix_of(address, ipv4=24, ipv6=48)


class Timeline:
    """The attempts of a whole run, ordered in time for each kind.

    A question about one record looks at the attempts that it is about, and not at all of the run.

    Args:
        found: The attempts.
        systems: The autonomous system of each address, as far as it is known.
    """

    def __init__(
        self,
        found: Iterable[tuple[Kind, HostAttempt]],
        systems: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._systems = systems
        texts = Texts()
        self._kinds: dict[Kind, Attempts] = defaultdict(lambda: Attempts(texts))
        for kind, one in found:
            self._kinds[kind].add(one)
        for each in self._kinds.values():
            each.sort()
        texts.complete()
        self._beside_it: dict[Kind, _Neighbours] = {}

    def shared(
        self, steps: Sequence[Step], began: float, own: str = ""
    ) -> tuple[SharedOutcome, ...]:
        """The outcomes of these steps that nearly all other hosts had around the same moment."""
        newest: dict[Kind, HostAttempt] = {}
        target = [step for step in steps if step.role is Role.TARGET]
        found = attempts(target, began, own)
        newest.update((kind, attempt) for kind, attempt in found if attempt.sign != FINE)
        shared = (self._one(kind, attempt) for kind, attempt in newest.items())
        return tuple(one for one in shared if one is not None)

    def hoster(
        self, steps: Sequence[Step], began: float, own: str = ""
    ) -> tuple[SharedOutcome, ...]:
        """The failures of these steps that all other hosts in the same network had as well.

        Or all other hosts in the same autonomous system, from several of its networks.
        """
        found = attempts([s for s in steps if s.role is Role.TARGET], began, own)
        newest = {kind: one for kind, one in found if one.sign != FINE and one.address}
        shared = (self._beside(kind, attempt) for kind, attempt in newest.items())
        return tuple(one for one in shared if one is not None)

    def _beside(self, kind: Kind, mine: HostAttempt) -> SharedOutcome | None:
        """Of the network's hosts, or else of those of the autonomous system."""
        if kind not in self._beside_it:
            self._beside_it[kind] = _Neighbours(self._kinds[kind], self._systems)
        neighbours = self._beside_it[kind]
        found = _all_alike(kind, mine, neighbours.of_network(mine.address), LEAST_HOSTS)
        system = self._systems.get(mine.address)
        if found is not None or not system:
            return found
        wide = list(neighbours.of_system(system))
        found = _all_alike(kind, mine, wide, LEAST_IN_SYSTEM)
        if found is None:
            return None
        networks = {network_of(one.address) for one in wide if one.host != mine.host}
        return found if len(networks) >= LEAST_HOSTS else None

    def _one(self, kind: Kind, mine: HostAttempt) -> SharedOutcome | None:
        others = self._nearest(kind, mine)
        same = {one.host for one in others.values() if one.sign == mine.sign}
        if len(others) - len(same) > _OTHERS_ALLOWED * len(others):
            return None
        # One hoster's servers fail together.
        servers = {network_of(one.address) for one in others.values() if one.sign == mine.sign}
        alike = len(same) if kind[0] == "dns" else min(len(same), len(servers))
        differing = len(others) - len(same)
        if alike < LEAST_HOSTS or differing > _OTHERS_ALLOWED * (alike + differing):
            return None
        operation, port, family = kind
        return SharedOutcome(
            op=operation, port=port, family=family, sign=mine.sign, hosts=alike, of=len(others)
        )

    def _nearest(self, kind: Kind, mine: HostAttempt) -> dict[str, HostAttempt]:
        """The attempt of every other host that is nearest in time, within `NEAR_SECONDS`.

        No more of them once so many differ that the rest can decide nothing.
        """
        every = self._kinds[kind]
        first, end = every.between(mine.at - NEAR_SECONDS, mine.at + NEAR_SECONDS)
        most = min(end - first, every.hosts)
        nearest: dict[str, HostAttempt] = {}
        differing = 0
        for one in _outwards(every, first, end, mine.at):
            if one.host == mine.host or (one.address and one.address == mine.address):
                continue
            if one.host not in nearest:
                nearest[one.host] = one
                differing += one.sign != mine.sign
                if differing > _OTHERS_ALLOWED * most:
                    break
        return nearest


def _outwards(every: Attempts, first: int, end: int, at: float) -> Iterator[HostAttempt]:
    """The attempts between two indices, the nearest in time first."""
    middle, _ = every.between(at, at)
    middle = min(max(middle, first), end)
    earlier = map(every.at, range(middle - 1, first - 1, -1))
    later = map(every.at, range(middle, end))
    return merge(earlier, later, key=lambda one: abs(one.at - at))


class _Neighbours:
    """The attempts of one kind by the network, and by the autonomous system, of their address."""

    def __init__(self, every: Attempts, systems: Mapping[str, int]) -> None:
        self._every = every
        self._networks: dict[str, list[int]] = defaultdict(list)
        self._systems: dict[int, list[int]] = defaultdict(list)
        for index, one in enumerate(every):
            self._networks[network_of(one.address)].append(index)
            system = systems.get(one.address)
            if system:
                self._systems[system].append(index)

    def of_network(self, address: str) -> Iterator[HostAttempt]:
        """Those in the network of this address."""
        return map(self._every.at, self._networks.get(network_of(address), ()))

    def of_system(self, system: int) -> Iterator[HostAttempt]:
        """Those in this autonomous system."""
        return map(self._every.at, self._systems.get(system, ()))


def _all_alike(
    kind: Kind, mine: HostAttempt, everyone: Iterable[HostAttempt], least: int
) -> SharedOutcome | None:
    """How many other hosts there are, if every attempt of theirs ended as this one did."""
    hosts = set()
    for one in everyone:
        if one.host != mine.host:
            if one.sign != mine.sign:
                return None
            hosts.add(one.host)
    if len(hosts) < least:
        return None
    operation, port, family = kind
    return SharedOutcome(
        op=operation, port=port, family=family, sign=mine.sign, hosts=len(hosts), of=len(hosts)
    )
