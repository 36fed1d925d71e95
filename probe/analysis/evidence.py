"""Views of one record for the rules: pure, without judgement.

Terms: a *hop* is one URL of a chain of redirects, numbered from 0. The *end* is the last hop that
was reached. A *live* step got an answer from beyond the home network.
"""

import re
from typing import Any, TypeVar

from msgspec.structs import replace

from probe.analysis import packet_size, silence_place
from probe.analysis.attempts import count_between, failing
from probe.analysis.once import fact, once
from probe.analysis.path_networks import stop_place
from probe.analysis.step_index import StepIndex
from probe.analysis.trace_analysis import TraceFinding, locate
from probe.analysis.trace_hops import LAYERS, spread
from probe.compare import host_of, is_address, is_bogon, port_of
from probe.model import (
    Base,
    Control,
    Dns,
    Http,
    Line,
    Ping,
    Quic,
    Record,
    Role,
    Step,
    Steps,
    StopPlace,
    Tcp,
    Tls,
)

FRESH_SECONDS = 900.0
_NEAR_SECONDS = 60.0
# Routers near the volunteer have no address in a record; `raw` tells how packets were captured.
_EXPLICIT_PORT = re.compile(r"[a-z]+://[^/?]*:[0-9]+(?:[/?]|$)")
_AT_HOME = frozenset({"gateway", "router", "raw"})

S = TypeVar("S", bound=Base)


class Evidence:
    """The observations of one record about its target."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.steps: Steps = record.steps
        self.line: Line = record.line or Line()
        self.host = host_of(record.input)
        self.kept: dict[Any, Any] = {}

    # --- steps -------------------------------------------------------------------------------

    def all(self, kind: type[S], *, role: Role = Role.TARGET, hop: int | None = None) -> list[S]:
        """Every step of one kind and role, in order, but those of unusual packets."""
        return self._ordinary.of(kind, role, hop)

    @fact
    def _ordinary(self) -> StepIndex:
        unusual = self._unusual
        return StepIndex((s for s in self.steps if s.id not in unusual), by_role=True)

    @fact
    def _unusual(self) -> frozenset[int]:
        """Steps whose packets were small or had a limited TTL."""
        found = packet_size.limited(self.steps)
        return found if self._is_trace else found | silence_place.limited(self.steps)

    @property
    def _is_trace(self) -> bool:
        """Its ordinary packets have a limited TTL."""
        return self.record.experiment == "trace"

    @fact
    def place(self) -> silence_place.Place | None:
        """Who stops the packets to the target, where packets with a limited TTL showed it."""
        return None if self._is_trace else silence_place.place(self.steps)

    @fact
    def stop(self) -> StopPlace | None:
        """The same with the networks there; what is in the server's own network is the server's."""
        if self._is_trace:
            traced = (locate(self.steps, layer) for layer in LAYERS)
            return next((self.stop_of(one) for one in traced if one and one.trigger), None)
        place = self.place
        if place is None:
            return None
        longer = silence_place.spread(self.steps, place)
        found = self._stop_place(place.after, place.before, place.server, longer)
        return found if place.by == "network" else replace(found, by="server", where="server")

    def stop_of(self, found: TraceFinding) -> StopPlace:
        """Where a trace found the name acted upon; near the server it may be the server's own."""
        longer = spread(self.steps, found.layer)
        place = self._stop_place(found.after, found.by, found.server, longer)
        return place if found.early or place.by == "server" else replace(place, by=None)

    def _stop_place(
        self, after: int, before: int, server: int | None, longer: int = 0
    ) -> StopPlace:
        home = self.record.vantage.country
        return stop_place(self.steps, after, before, server, home, spread=longer)

    @fact
    def end(self) -> int:
        """The number of the last hop that any step on the target reached."""
        return max((step.hop for step in self.steps if step.role is Role.TARGET), default=0)

    @fact
    def hop_urls(self) -> dict[int, str]:
        """The URL of each hop, from the redirect that led to it."""
        urls = {0: self.record.input}
        for step in self.all(Http):
            if step.location and 300 <= (step.status or 0) < 400:
                urls.setdefault(step.hop + 1, step.location)
        return urls

    @fact
    def end_url(self) -> str:
        """The URL at the end of the redirects."""
        return self.hop_urls.get(self.end, self.record.input)

    @fact
    def end_host(self) -> str:
        """The host at the end of the redirects."""
        return host_of(self.end_url)

    # --- names -------------------------------------------------------------------------------

    def names(self, hop: int) -> list[Dns]:
        """Every query for the name of one hop, including those made at other hops of that name."""
        return self._queries.get(host_of(self.hop_urls.get(hop, "")), [])

    @fact
    def _queries(self) -> dict[str, list[Dns]]:
        """The queries for addresses, by name."""
        queries: dict[str, list[Dns]] = {}
        for step in self.all(Dns):
            if step.type in {"A", "AAAA"}:
                queries.setdefault(step.name, []).append(step)
        return queries

    @once
    def system(self, hop: int) -> list[Dns]:
        """The queries that went to the machine's own resolver."""
        return [step for step in self.names(hop) if step.resolver == "system"]

    @once
    def others(self, hop: int) -> list[Dns]:
        """The queries that went to public resolvers, whatever the answer."""
        return [step for step in self.names(hop) if step.resolver != "system"]

    @once
    def system_addresses(self, hop: int) -> set[str]:
        """The addresses that the system resolver gave, over all tries."""
        host = host_of(self.hop_urls.get(hop, ""))
        if is_address(host):
            return {host}
        asked = self.system(hop)
        return {address for step in asked for address in step.addresses}

    @once
    def other_addresses(self, hop: int) -> set[str]:
        """The addresses from sources that the local network cannot change, else from all others.

        Those sources are the controls and the encrypted resolvers.
        """
        protected = self.control_addresses(hop) | {
            address for step in self.encrypted(hop) for address in step.addresses
        }
        return protected or {address for step in self.others(hop) for address in step.addresses}

    @once
    def encrypted(self, hop: int) -> list[Dns]:
        """Queries that were answered over an encrypted channel."""
        return [s for s in self.others(hop) if s.transport in {"doh", "dot"} and s.replies]

    # --- connections and pages ---------------------------------------------------------------

    @once
    def port(self, hop: int) -> int:
        """The port of a hop's URL, explicit or implied; 443 for experiments on names."""
        if self.record.experiment != "web" and not _EXPLICIT_PORT.match(self.record.input):
            return 443
        return port_of(self.hop_urls.get(hop, self.record.input)) or 0

    @once
    def connections(self, hop: int) -> list[Tcp]:
        """Connections to the target at one hop."""
        port = self.port(hop)
        return [step for step in self.all(Tcp, hop=hop) if step.port == port]

    @once
    def handshakes(self, hop: int) -> list[Tls]:
        """Handshakes that offered the target's own name."""
        host = host_of(self.hop_urls.get(hop, ""))
        return [step for step in self.all(Tls, hop=hop) if step.sni in {host, None}]

    @once
    def pages(self, hop: int) -> list[Http]:
        """HTTP exchanges for the URL of one hop itself."""
        url = self.hop_urls.get(hop, "")
        return [step for step in self.all(Http, hop=hop) if step.url == url]

    @once
    def proven_addresses(self, hop: int) -> set[str]:
        """Addresses that proved the name of this hop by a trusted certificate, from here."""
        return {s.address for s in self.handshakes(hop) if s.trust is not None and s.trust.valid}

    def harmless(self, kind: type[S], hop: int | None = None) -> list[S]:
        """Steps that offered a harmless name instead."""
        return self.all(kind, role=Role.HARMLESS, hop=hop)

    def same_operator(self, other: Tls) -> bool:
        """The supposedly unrelated server and the target's have one key for a harmless name.

        Then one operator runs both, and may itself refuse the name at both.
        """
        return other.address in self._sharing_a_key(other.hop)

    @once
    def _sharing_a_key(self, hop: int) -> set[str]:
        """The addresses whose key for a harmless name is that of another address, too."""
        users: dict[str, set[str]] = {}
        for step in self.harmless(Tls, hop=hop):
            if step.trust is not None and step.trust.leaf_key:
                users.setdefault(step.trust.leaf_key, set()).add(step.address)
        return {address for shared in users.values() if len(shared) > 1 for address in shared}

    def handshake_before(self, page: Http) -> Tls | None:
        """The handshake that an exchange went over, if any."""
        above = self._by_id.get(page.parent)
        return above if isinstance(above, Tls) else None

    @fact
    def _by_id(self) -> dict[int | None, Step]:
        return {step.id: step for step in reversed(self.steps)}

    # --- the line ----------------------------------------------------------------------------

    @fact
    def live(self) -> list[Step]:
        """Steps answered from beyond the home network, by the time they ended."""
        every = (s for s in self.steps if is_live(s) and s.id not in self._unusual)
        return sorted(every, key=lambda s: s.at + s.elapsed)

    def alive_around(self, step: Step) -> bool:
        """Another server answered shortly before this step began and shortly after it ended.

        False where the connection to a reference site right before or right after it failed.
        """
        asked = self.all(Tcp, role=Role.REFERENCE)
        earlier, later = [s for s in asked if s.at < step.at], [s for s in asked if s.at > step.at]
        if failing((*earlier[-1:], *later[:1])):
            return False
        ended = step.at + step.elapsed
        before = self._lived_between(step.at - _NEAR_SECONDS, ended, step.id)
        after = self._lived_between(max(step.at, ended), ended + _NEAR_SECONDS, step.id)
        return (before or self.line.alive_before is True) and (
            after or self.line.alive_after is True
        )

    def _lived_between(self, first: float, last: float, but: int) -> bool:
        """Whether another step than this one was answered between two moments."""
        every, own = self._answer_times.get(None, []), self._answer_times.get(but, [])
        return count_between(every, first, last) > count_between(own, first, last)

    @fact
    def _answer_times(self) -> dict[int | None, list[float]]:
        """When live steps ended, in order: of all, and of each id."""
        times: dict[int | None, list[float]] = {}
        for step in self.live:
            for whose in (None, step.id):
                times.setdefault(whose, []).append(step.at + step.elapsed)
        return times

    # --- controls ----------------------------------------------------------------------------

    @fact
    def controls(self) -> tuple[Control, ...]:
        """Control measurements near enough in time to be compared, and of the same kind."""
        over_quic = self.record.experiment == "quic"
        return tuple(
            c
            for c in self.record.control
            if abs(c.age) <= FRESH_SECONDS
            and (not c.steps or any(isinstance(s, Quic) is over_quic for s in c.steps))
        )

    @fact
    def latest(self) -> tuple[Control, ...]:
        """The controls that measured after this record, or all when none did."""
        after = tuple(c for c in self.controls if c.age > 0)
        return after or self.controls

    @fact
    def control_after(self) -> bool:
        """A control measured after this record, so the target did not change unnoticed."""
        return any(c.age > 0 for c in self.controls)

    @fact
    def control_weight(self) -> float:
        """1 when a control measured after this record, 0.92 when only before, 0 when none did."""
        if not self.controls:
            return 0.0
        return 1.0 if self.control_after else 0.92

    def control(self, kind: type[S], hop: int | None = None, *, latest: bool = False) -> list[S]:
        """Every control step of one kind; with `latest` only those of the latest controls."""
        return (self._latest_steps if latest else self._control_steps).of(kind, None, hop)

    @fact
    def _control_steps(self) -> StepIndex:
        return StepIndex((s for c in self.controls for s in c.steps), by_role=False)

    @fact
    def _latest_steps(self) -> StepIndex:
        if len(self.latest) == len(self.controls):
            return self._control_steps
        return StepIndex((s for c in self.latest for s in c.steps), by_role=False)

    @once
    def control_addresses(self, hop: int) -> set[str]:
        """Every address that a control was given for the name of this hop."""
        host = host_of(self.hop_urls.get(hop, ""))
        return {a for s in self.control(Dns) if s.name == host for a in s.addresses}

    @once
    def control_handshakes(self, hop: int) -> list[Tls]:
        """The controls' handshakes for the name of this hop, at addresses they resolved."""
        host = host_of(self.hop_urls.get(hop, ""))
        own = self.control(Tls)
        return [step for step in own if step.sni == host and step.role is Role.TARGET]

    @once
    def control_reached(self, hop: int) -> set[str]:
        """Addresses at which a control completed a handshake for this name."""
        host = host_of(self.hop_urls.get(hop, ""))
        shaken = [s for s in self.control(Tls) if s.sni == host and s.failure is None]
        return {s.address for s in shaken if of_the_site(s)}

    @once
    def control_pages(self, hop: int) -> list[Http]:
        """The controls' exchanges for the URL of this hop, successful ones first."""
        url = self.hop_urls.get(hop, "")
        pages = [step for step in self.control(Http) if step.url == url]
        return sorted(pages, key=lambda page: page.failure is not None)

    @fact
    def control_ends(self) -> list[Http]:
        """Where each control ended, when it ended at a page."""
        ends: list[Http] = []
        for control in self.controls:
            pages = [s for s in control.steps if isinstance(s, Http) and s.failure is None]
            if pages and pages[-1].hop == max(s.hop for s in control.steps):
                ends.append(pages[-1])
        return ends

    @fact
    def control_works(self) -> bool:
        """A fresh control got a page from this target."""
        return any((page.status or 599) < 500 for page in self.control_ends)

    @once
    def control_agrees_at(self, hop: int) -> bool:
        """A fresh control reached this hop and got an answer there."""
        return bool(self.control_pages(hop)) or (hop == self.end and self.control_works)


def of_the_site(step: Tls | Http) -> bool:
    """A control resolved this address itself, or got a certificate for the name there."""
    asked = isinstance(step, Tls) and step.trust is not None and step.trust.named
    return step.role is Role.TARGET or asked


def is_live(step: Step) -> bool:
    """The step got an answer from beyond the home network."""
    match step:
        case Dns():
            return step.resolver != "system" and bool(step.replies)
        case Tcp():
            return step.failure is None and not is_bogon(step.address)
        case Tls():
            return step.answered
        case Http():
            return step.bytes_in > 0
        case Ping():
            return step.failure is None and not at_home(step)
        case _:
            return step.failure is None


def at_home(step: Step) -> bool:
    """A ping of the home network or of this machine, which answer on a dead line too."""
    return isinstance(step, Ping) and step.what in _AT_HOME and step.address is None
