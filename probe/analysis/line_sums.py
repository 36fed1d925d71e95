"""What all steps of a run say about its line, summed up step by step: no step need be kept."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from probe.analysis.shared import network_of
from probe.compare import host_of, page_sign, registrable
from probe.failure import Failure
from probe.model import Dns, Http, Line, Role, Step, Steps, Tcp, Tls
from probe.reference_data import unused_addresses

_OWN = frozenset({Role.TARGET, Role.REFERENCE})
_CUT = frozenset({Failure.RESET, Failure.ABORTED, Failure.EOF})
_BROKEN = _CUT | {Failure.TIMEOUT}
# So many reference sites must have been cut off before it is the line that does it.
_LEAST_CUT = 2


class LineSums:
    """The sums; names under one registered name count once, and harmless names apart."""

    def __init__(self) -> None:
        self._connects, self._handshakes = array("d"), array("d")
        self._references = References()
        self._keys = SigningKeys()
        self._pages = PlainPages()
        self._unused = unused_addresses()
        self._hijacked: dict[str, None] = {}

    def add(self, steps: Steps) -> None:
        """Add the steps of one record, or of one look at reference sites."""
        self._references.add(steps)
        for step in steps:
            if isinstance(step, Tls):
                self._keys.add(step)
            elif isinstance(step, Http):
                self._pages.add(step)
            elif isinstance(step, Dns) and step.replies and step.resolver in self._unused:
                self._hijacked[step.resolver] = None
            self._time(step)

    def _time(self, step: Step) -> None:
        if step.failure is None and step.elapsed > 0:
            if isinstance(step, Tcp):
                self._connects.append(step.elapsed)
            elif isinstance(step, Tls):
                self._handshakes.append(step.elapsed)

    def line(self) -> Line:
        """What all records of the run share, apart from what references alone show."""
        key, names = self._keys.resigned()
        portal, hosts, sign = self._pages.one_page()
        return Line(
            references=len(self._references.attempts),
            references_failed=self._references.failed,
            round_trip=_middle(self._connects),
            handshake=_middle(self._handshakes),
            loss=self._references.loss(),
            resets=self._references.resets(),
            resigned_by=key,
            resigned_names=names,
            resigned_harmless=self._keys.harmless(key),
            trusted_names=len(self._keys.trusted),
            portal=portal,
            portal_hosts=hosts,
            portal_sign=sign,
            hijacked_resolvers=tuple(self._hijacked),
        )


class SigningKeys:
    """Which untrusted keys sign for which names.

    Attributes:
        trusted: Names with a valid certificate.
    """

    def __init__(self) -> None:
        self.trusted: set[str] = set()
        self._signed: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._harmless: dict[str, set[str | None]] = defaultdict(set)

    def add(self, step: Tls) -> None:
        """Add one handshake."""
        trust = step.trust
        if trust is None:
            return
        if step.role is Role.HARMLESS and not trust.anchored:
            self._harmless[trust.issuer_key].add(step.sni)
        if step.role not in _OWN or not step.sni:
            return
        if trust.valid:
            self.trusted.add(registrable(step.sni))
            return
        # A national root that browsers do not carry signs for many sites of its country.
        national = trust.authority is not None and trust.authority.kind == "national"
        if trust.issuer_key and not trust.anchored and not national:
            self._signed[trust.issuer_key].add((registrable(step.sni), step.address))

    def resigned(self) -> tuple[str | None, int]:
        """The untrusted key that signs for most unrelated names, and for how many."""
        # Unrelated names differ and have addresses that differ: one misconfigured server is one.
        counted = {
            key: min(len({name for name, _ in pairs}), len({address for _, address in pairs}))
            for key, pairs in self._signed.items()
        }
        best = max(counted, key=lambda key: counted[key], default=None)
        return (best, counted[best]) if best is not None else (None, 0)

    def harmless(self, key: str | None) -> int:
        """For how many harmless names it signs; a filter with a list of names signs for none."""
        return 0 if key is None else len(self._harmless.get(key, ()))


class PlainPages:
    """Which pages answered over plain http, for which names."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._hosts: dict[str, set[str]] = defaultdict(set)
        self._servers: dict[str, set[str]] = defaultdict(set)

    def add(self, step: Http) -> None:
        """Add a first hop: the page of the name itself, not one that it redirects to."""
        if step.role not in _OWN or step.proven or step.hop or not step.url.startswith("http:"):
            return
        if step.status is None and not step.malformed:
            return
        host = registrable(host_of(step.url))
        self._asked.add(host)
        if sign := page_sign(step):
            self._hosts[sign].add(host)
            self._servers[sign].add(network_of(step.address) or step.address)

    def one_page(self) -> tuple[bool | None, int, str | None]:
        """Whether one page answers for unrelated names, for how many, and which."""
        common = max(self._hosts, key=lambda sign: len(self._hosts[sign]), default=None)
        most = len(self._hosts[common]) if common is not None else 0
        if len(self._asked) >= 2 and most == len(self._asked):
            return True, most, common
        # One server shows its default page, or a notice of its own, for all of its hosts.
        unrelated = min(most, len(self._servers[common])) if common is not None else 0
        return None if len(self._asked) < 2 else False, unrelated, common


class References:
    """How connections to reference sites ended.

    Attributes:
        attempts: Address and port of each, and how it or what it was for failed. A certificate that
            proves nothing is an answer, and so is an alert.
    """

    def __init__(self) -> None:
        self.attempts: list[tuple[tuple[str, int], Failure | None]] = []

    def add(self, steps: Steps) -> None:
        """Add the connections among these steps."""
        broken = {s.parent: s.failure for s in steps if s.failure in _BROKEN and s.parent}
        for step in steps:
            if isinstance(step, Tcp) and step.role is Role.REFERENCE:
                failure = step.failure or broken.get(step.id)
                self.attempts.append(((step.address, step.port), failure))

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(failure is not None for _, failure in self.attempts)

    def loss(self) -> float | None:
        """Share of failed attempts among those at reference sites that worked at least once."""
        known = self._at_working()
        failed = sum(failure is not None for _, failure in known)
        return round(failed / len(known), 4) if known else None

    def resets(self) -> float | None:
        """Share of attempts that were cut off, if several such sites were; one may do it itself."""
        known = self._at_working()
        cut = [where for where, failure in known if failure in _CUT]
        if not known:
            return None
        return round(len(cut) / len(known), 4) if len(set(cut)) >= _LEAST_CUT else 0.0

    def _at_working(self) -> list[tuple[tuple[str, int], Failure | None]]:
        working = {where for where, failure in self.attempts if failure is None}
        return [one for one in self.attempts if one[0] in working]


def _middle(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(median(known), 6) if known else None
