"""The record `qazprobe/1` and the words it is made of: frozen data, no behaviour beyond reading it.

One record is one line of JSON: what was asked (`input`, `experiment`), from where (`vantage`), each
step that was taken and what came of it (`steps`), what a control saw (`control`), what the run as a
whole knew about the line (`line`), and what we conclude (`verdict`). The verdict is a claim; the
steps are the evidence, and everything the judgement uses is in the record, so that anybody can
judge again.

All times are seconds. `at` and `elapsed` are relative to `started_at` and monotonic. All sizes are
bytes. `None` means "not known" or "does not apply", never zero.
"""

from enum import StrEnum, unique
from typing import Literal, TypeAlias

import msgspec

from probe.failure import Failure

SCHEMA: Literal["qazprobe/1"] = "qazprobe/1"


@unique
class Outcome(StrEnum):
    """What became of a target, seen from one vantage."""

    OK = "ok"
    BLOCKED = "blocked"
    INTERCEPTED = "intercepted"
    THROTTLED = "throttled"
    REFUSED = "refused"
    DOWN = "down"
    INCONCLUSIVE = "inconclusive"


@unique
class Mechanism(StrEnum):
    """How the network interfered, layer by layer. The ids are permanent."""

    DNS_NXDOMAIN = "dns.nxdomain"
    DNS_NODATA = "dns.nodata"
    DNS_SERVFAIL = "dns.servfail"
    DNS_REFUSED = "dns.refused"
    DNS_TIMEOUT = "dns.timeout"
    DNS_BOGON = "dns.bogon"
    DNS_WRONG_ADDRESS = "dns.wrong_address"
    DNS_INJECTED = "dns.injected"
    TCP_REFUSED = "tcp.refused"
    TCP_RESET = "tcp.reset"
    TCP_TIMEOUT = "tcp.timeout"
    TCP_UNREACHABLE = "tcp.unreachable"
    TLS_RESET = "tls.reset"
    TLS_TIMEOUT = "tls.timeout"
    TLS_EOF = "tls.eof"
    TLS_ALERT = "tls.alert"
    TLS_MITM = "tls.mitm"
    HTTP_RESET = "http.reset"
    HTTP_TIMEOUT = "http.timeout"
    HTTP_EOF = "http.eof"
    HTTP_BLOCKPAGE = "http.blockpage"
    HTTP_REDIRECTED = "http.redirected"
    HTTP_INJECTED = "http.injected"
    QUIC_TIMEOUT = "quic.timeout"
    QUIC_REFUSED = "quic.refused"
    THROTTLE_POLICED = "throttle.policed"
    THROTTLE_SHAPED = "throttle.shaped"
    THROTTLE_SLOW = "throttle.slow"
    THROTTLE_FROZEN = "throttle.frozen"
    ACCESS_OFFLINE = "access.offline"
    ACCESS_CAPTIVE_PORTAL = "access.captive_portal"
    ACCESS_LOCAL_INTERCEPTOR = "access.local_interceptor"
    ACCESS_WHITELIST = "access.whitelist"
    ACCESS_FOREIGN_CUT = "access.foreign_cut"


@unique
class Stage(StrEnum):
    """Whether a verdict was seen once, or again in a later run."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"


@unique
class Role(StrEnum):
    """Why a step was taken.

    `target` is the thing itself. `harmless` is the same address with a name nobody minds.
    `reference` is another site that must work. `neutral` is a server of ours, or an address that
    has nothing to do with the target.
    """

    TARGET = "target"
    HARMLESS = "harmless"
    REFERENCE = "reference"
    NEUTRAL = "neutral"


class Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of everything that is written down: frozen, named fields, nothing unknown."""


class Packet(Data, frozen=True, kw_only=True):
    """One packet that came back, as only the raw helper sees it.

    Attributes:
        at: Seconds after what it answers was sent.
        by: `peer` in the server's name (whoever sent it), `router` from a router on the way.
        ip_ttl: Its IP time to live on arrival: two that came different ways have different ones.
        ip_id: Its IP identification. window: its TCP window, unscaled.
        flags: Its TCP flags, as letters (`SA`, `R`, `RA` …); empty for a router's.
        size: Payload bytes.
        acked: How many of our bytes it confirms, or None where it confirms none.
        address: The router's, unless it is near the volunteer.
    """

    at: float
    by: Literal["peer", "router"]
    ip_ttl: int
    ip_id: int
    flags: str = ""
    window: int | None = None
    size: int = 0
    acked: int | None = None
    address: str | None = None


class Travel(Data, frozen=True, kw_only=True):
    """How far our packets of one step were let go, and what was seen of their way.

    Attributes:
        ttl: IP time to live that they were sent with: how many routers they may cross, plus one.
        expired: A router said that it ran out on the way; None where the system does not tell.
        packets: What came back, packet by packet; empty without the raw helper.
    """

    ttl: int | None = None
    expired: bool | None = None
    packets: tuple[Packet, ...] = ()


class Base(Data, frozen=True, kw_only=True):
    """What every step has.

    Attributes:
        id: Number of the step within its record, from 1, in the order the steps began.
        parent: The step this one stands on (a handshake on its connection), or None.
        hop: 0 for the target itself, 1 for the first redirect, and so on.
        try_: 1 for the first attempt, 2 and more when it was measured again (`try` in the record).
        failure: How it failed, or None when it did what it was asked.
        detail: A scrubbed word for `unknown_failure`; never needed to judge.
        at: When it began, seconds after the record's `started_at`.
        elapsed: How long it took, seconds.
        limit: How long it was given, seconds.
        travel: How far its packets were let go, where that was limited or watched.
    """

    id: int = 0
    parent: int | None = None
    role: Role = Role.TARGET
    hop: int = 0
    try_: int = msgspec.field(default=1, name="try")
    failure: Failure | None = None
    detail: str | None = None
    at: float = 0.0
    elapsed: float = 0.0
    limit: float = 0.0
    travel: Travel | None = None


Transport: TypeAlias = Literal["udp", "tcp", "dot", "doh"]


class Reply(Data, frozen=True, kw_only=True):
    """One answer to one DNS query. A query may get several: that is the point of listening on.

    Attributes:
        at: Seconds after the query was sent.
        rcode: RFC 1035 response code (0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED).
        answers: The addresses in it, in order.
        cnames: The names it went through, in order.
        ttl: Time to live of each address record, seconds.
        ip_ttl: IP time to live of the packet, where the system tells it: two answers that came
            different ways have different ones.
        alpn: Protocols that HTTPS records announce (RFC 9460), in order: `h3`, `h2` …
    """

    at: float
    rcode: int
    answers: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    ttl: tuple[int, ...] = ()
    ip_ttl: int | None = None
    alpn: tuple[str, ...] = ()


class Dns(Base, frozen=True, kw_only=True, tag_field="op", tag="dns"):
    """One DNS query and every reply to it.

    Attributes:
        resolver: `system` for the resolver the machine is configured with (its address is the
            volunteer's and is not recorded), else the public resolver's address.
        type: `A` or `AAAA` (or another RR type name).
    """

    name: str
    resolver: str
    transport: Transport = "udp"
    type: str = "A"
    replies: tuple[Reply, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the first reply."""
        return self.replies[0].answers if self.replies else ()


class Tcp(Base, frozen=True, kw_only=True, tag_field="op", tag="tcp"):
    """One TCP connection attempt."""

    address: str
    port: int
    errno: int | None = None


@unique
class TrustReason(StrEnum):
    """Why a chain does not prove its name. The first that applies, in this order."""

    EMPTY = "empty"
    MALFORMED = "malformed"
    SELF_SIGNED = "self_signed"
    UNKNOWN_AUTHORITY = "unknown_authority"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    HOSTNAME = "hostname"
    REJECTED = "rejected"


class Authority(Data, frozen=True, kw_only=True):
    """A known authority that a chain leads to, or claims to.

    Attributes:
        id: Its id in `targets/authorities/`.
        kind: `interception` (a key made to intercept), `national` (a national root that browsers do
            not carry, such as a government's own: known, and not interception), or `service` (a
            root that one service's own apps carry).
        proof: `verified` when a signature in the chain verifies under its public key or a
            certificate in the chain is it; `claimed` when only names or key identifiers match
            (anybody can write those: a new sibling, or an imitation).
    """

    id: str
    kind: Literal["interception", "national", "service"]
    proof: Literal["verified", "claimed"]


class Trust(Data, frozen=True, kw_only=True):
    """What a served chain proves, judged apart from the handshake and against Mozilla's roots.

    Attributes:
        valid: The chain leads to a Mozilla root, is valid now, and is for the name that was asked.
        reason: Why not, or None when valid.
        anchored: The chain leads to a Mozilla root, whatever its dates and names say.
        named: The leaf is for the name that was asked.
        subject, issuer: The leaf's, RFC 4514, cut at 256 characters.
        issuer_key: SHA-256 of the issuing public key where the chain carries it, else the leaf's
            authority key identifier as `aki:<hex>`, else `name:<sha256 of the issuer's name>`.
            Two leaves of one interceptor share it.
        leaf_key: SHA-256 of the leaf's public key.
        not_before, not_after: The leaf's validity, RFC 3339 in UTC.
        serial: The leaf's, hex; empty when it is longer than any should be (RFC 5280).
        logged: The leaf carries timestamps of public logs (SCTs, RFC 6962).
        extensions: How many extensions the leaf carries besides its names and basic constraints,
            which a forger must keep.
        authority: A known authority it leads to or claims, or None.
        local: The issuer is in this machine's own store and not in Mozilla's: the mark of an
            antivirus, an office proxy, or a root somebody installed here. None: could not be asked.
    """

    valid: bool
    reason: TrustReason | None = None
    anchored: bool = False
    named: bool = False
    subject: str = ""
    issuer: str = ""
    issuer_key: str = ""
    leaf_key: str = ""
    not_before: str | None = None
    not_after: str | None = None
    serial: str = ""
    logged: bool | None = None
    extensions: int | None = None
    authority: Authority | None = None
    local: bool | None = None


class Tls(Base, frozen=True, kw_only=True, tag_field="op", tag="tls"):
    """One TLS handshake, completed or not.

    Attributes:
        sni: The name that was offered, or None when none was.
        hello: Which ClientHello was sent: `default`, `tls12`, `tls13`, `split`, `ech` … With `ech`
            the handshake is never finished: no failure means that a ServerHello came.
        bytes_out, bytes_in: TLS bytes sent and received up to the end of the handshake.
            A silence has bytes_in 0; a reset after the hello has bytes_in 0 too, and a failure.
        alert: The TLS alert number (RFC 8446 section 6) that ended it.
        alert_by: Who sent that alert.
        server_hello: What the server's first answer is made of: `version,cipher,extensions`, in
            decimal, extensions joined by dashes in the order they came. Its MD5 is what is known as
            JA3S. Depends on the server's software, and on which hello was sent.
        chain: SHA-256 of every certificate served, leaf first; their DER is in the record's certs.
        trust: What the chain proves; None when no certificate came.
        acknowledged: After a silence: the far side's TCP confirmed all that we had sent. A packet
            that was dropped on the way is never confirmed; a server that hangs confirms it.
    """

    address: str
    port: int
    sni: str | None = None
    hello: str = "default"
    bytes_out: int = 0
    bytes_in: int = 0
    version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    alert: int | None = None
    alert_by: Literal["peer", "us"] | None = None
    server_hello: str | None = None
    chain: tuple[str, ...] = ()
    trust: Trust | None = None
    acknowledged: bool | None = None

    @property
    def answered(self) -> bool:
        """TLS came back: the far side, or somebody in its place, spoke."""
        return self.bytes_in > 0


class Http(Base, frozen=True, kw_only=True, tag_field="op", tag="http"):
    """One HTTP exchange.

    Attributes:
        proven: It went over TLS whose chain proved the name of the URL.
        status: None when no status line could be read.
        malformed: Bytes came that are no HTTP response (`body` has them).
        headers: A few named headers, lower case.
        location: Where a redirect points, absolute.
        title: Text of <title>, white space folded, at most 256 characters.
        declared_bytes: Content-Length, if any.
        received_bytes: Body bytes that came.
        complete: The body came whole (or was cut by us at the cap).
        sha256: Of the body as received.
        fuzzy: 64-bit similarity hash (simhash of word triples) as 16 hex digits: pages are dynamic.
        links: Host names that the page links to, sorted, at most 32.
        body: Base64 of the first 4 KiB, only when not `proven`.
        bytes_out, bytes_in: Bytes of the exchange on the wire above TCP.
        peak_gap: The longest silence between two arrivals, seconds.
        acknowledged: After a silence: the far side's TCP confirmed all that we had sent.
    """

    url: str
    address: str
    port: int
    host: str
    method: str = "GET"
    proven: bool = False
    version: str | None = None
    status: int | None = None
    malformed: bool = False
    headers: dict[str, str] = {}
    location: str | None = None
    title: str | None = None
    declared_bytes: int | None = None
    received_bytes: int = 0
    complete: bool = False
    sha256: str | None = None
    fuzzy: str | None = None
    links: tuple[str, ...] = ()
    body: str | None = None
    bytes_out: int = 0
    bytes_in: int = 0
    peak_gap: float | None = None
    acknowledged: bool | None = None


class Quic(Base, frozen=True, kw_only=True, tag_field="op", tag="quic"):
    """One QUIC handshake attempt (RFC 9000).

    Attributes:
        icmp: The errno an ICMP error left on the socket (111 refused, 113 unreachable), or None.
        error: The code of the CONNECTION_CLOSE that ended it (RFC 9000 section 20), theirs or ours.
        versions: Versions a version negotiation packet offered.
    """

    address: str
    port: int
    sni: str | None = None
    bytes_out: int = 0
    bytes_in: int = 0
    datagrams_out: int = 0
    datagrams_in: int = 0
    alpn: str | None = None
    alert: int | None = None
    icmp: int | None = None
    error: int | None = None
    versions: tuple[int, ...] = ()
    chain: tuple[str, ...] = ()
    trust: Trust | None = None


class Sample(Data, frozen=True, kw_only=True, array_like=True):
    """One look at a running transfer: [at, wire, segments, out_of_order, rcv_rtt, min_rtt].

    Attributes:
        at: Seconds after the request was sent.
        wire: Ciphertext bytes so far.
        segments, out_of_order: TCP_INFO counters, or None where the system has none.
        rcv_rtt, min_rtt: Seconds, or None.
    """

    at: float
    wire: int
    segments: int | None = None
    out_of_order: int | None = None
    rcv_rtt: float | None = None
    min_rtt: float | None = None


class Transfer(Base, frozen=True, kw_only=True, tag_field="op", tag="transfer"):
    """One timed transfer, for the throttling and speed experiments.

    Attributes:
        arm: A target's name at a neutral server, B control name there, C target's name at the
            target's address, D another name there, L the line itself.
        pair: Which pair of the sequence, from 1; 0 for a longer look outside the sequence.
        host: The Host that was asked for.
        status: The HTTP status that was answered.
        asked_bytes: Size asked for. received_bytes: body bytes that came (for `up`: were taken).
        wire_bytes: Ciphertext bytes of the whole connection, handshake included.
        ended: `full`, `cap` (time was up), `stall`, `eof`, `reset`, `error`; `budget` when it was
            not begun because the day's byte budget was spent.
        rate: Plateau, bytes per second, or None.
        stalled_at: Ciphertext bytes received when it froze, or None.
        cpu_seconds: Processor time the transfer took here: a slow machine is not a slow network.
        other_bytes: What else the way out carried meanwhile, both ways (known on Linux alone).
    """

    address: str
    port: int
    sni: str | None = None
    arm: Literal["A", "B", "C", "D", "L"]
    pair: int
    direction: Literal["down", "up"] = "down"
    host: str | None = None
    status: int | None = None
    asked_bytes: int = 0
    received_bytes: int = 0
    wire_bytes: int = 0
    ended: Literal["full", "cap", "stall", "eof", "reset", "error", "budget"] = "error"
    connect_seconds: float | None = None
    handshake_seconds: float | None = None
    first_byte_seconds: float | None = None
    rate: float | None = None
    longest_gap: float | None = None
    stalled_at: int | None = None
    segment_bytes: int | None = None
    cpu_seconds: float | None = None
    other_bytes: int | None = None
    samples: tuple[Sample, ...] = ()


class Ping(Base, frozen=True, kw_only=True, tag_field="op", tag="ping"):
    """A small reachability look that is neither a name nor a page (a gateway, a port, a service).

    Attributes:
        what: `gateway`, `resolver`, `port`, `router`, a protocol (`mtproto`), a part of a service …
        address: None for the volunteer's own gateway, for routers near it, and for servers of the
            volunteer's own configuration: never recorded. None also where a step only sums up the
            one it stands on.
        bytes_out, bytes_in: Where something was said: what was sent, and whatever came back.
    """

    what: str
    address: str | None = None
    port: int | None = None
    bytes_out: int = 0
    bytes_in: int = 0


Step: TypeAlias = Dns | Tcp | Tls | Http | Quic | Transfer | Ping
Steps: TypeAlias = tuple[Step, ...]


class Vantage(Data, frozen=True, kw_only=True):
    """Where a record was made, as coarsely as the volunteer chose to say it.

    Attributes:
        role: `probe` on a volunteer's line, `control` on an open network.
        country: ISO 3166 code of two letters.
        asn: Number of the autonomous system. network: its name.
        asn_source: Who said so: the configuration, a collector just now, or a collector earlier on
            this same network.
        region: What the volunteer chose to say (ISO 3166-2), never derived.
        kind: `fixed`, `mobile` … as the configuration says.
        platform: Operating system. version: of the probe.
    """

    role: Literal["probe", "control"] = "probe"
    country: str | None = None
    asn: int | None = None
    asn_source: Literal["config", "collector", "remembered"] | None = None
    network: str | None = None
    region: str | None = None
    kind: str | None = None
    platform: str = ""
    version: str = ""


class Line(Data, frozen=True, kw_only=True):
    """What the run knew about its own line when it judged this record. None: was not measured.

    Attributes:
        alive_before, alive_after: A reference worked shortly before and shortly after the target's
            last failing step.
        references, references_failed: How many reference looks there were during the run, and how
            many failed.
        round_trip: Median TCP connect time to references that worked, seconds.
        handshake: Median TLS handshake time on this line, seconds.
        loss: Share of reference attempts that failed at first and worked when repeated.
        clock_offset: Our clock minus true time, seconds, where somebody trustworthy said it.
        resigned_by: `issuer_key` of an untrusted authority that signs for unrelated names here.
        resigned_names: For how many unrelated names it was seen to sign.
        resigned_harmless: For how many names, offered at targets' addresses, that nobody minds.
        trusted_names: How many unrelated names were proven by a Mozilla-trusted chain in this run.
        portal: One page, or one redirect, answers for unrelated names over plain http.
        portal_hosts: For how many.
        portal_sign: What that page has in common everywhere: its SHA-256, or `to HOST`.
        foreign_alive, domestic_alive: Shares of foreign and domestic anchors that worked.
        nxdomain_answered: A name that exists nowhere was answered by the system's resolver.
        nxdomain_addresses: With these addresses.
        hijacked_resolvers: Public resolvers that answer although none lives there.
    """

    alive_before: bool | None = None
    alive_after: bool | None = None
    references: int = 0
    references_failed: int = 0
    round_trip: float | None = None
    handshake: float | None = None
    loss: float | None = None
    clock_offset: float | None = None
    resigned_by: str | None = None
    resigned_names: int = 0
    resigned_harmless: int = 0
    trusted_names: int = 0
    portal: bool | None = None
    portal_hosts: int = 0
    portal_sign: str | None = None
    foreign_alive: float | None = None
    domestic_alive: float | None = None
    nxdomain_answered: bool | None = None
    nxdomain_addresses: tuple[str, ...] = ()
    hijacked_resolvers: tuple[str, ...] = ()
    ipv6: bool | None = None


class Control(Data, frozen=True, kw_only=True):
    """What one control saw of the same target, trimmed to the steps that are compared.

    Attributes:
        id: The control's record. age: its `started_at` minus ours, seconds: negative is before.
        certs: Leaf certificates that the steps name: base64 of the DER by SHA-256. Only in answers
            to a recheck: what was served elsewhere is wanted where something did not simply work.
    """

    id: str
    age: float
    steps: Steps = ()
    certs: dict[str, str] = {}


class Earlier(Data, frozen=True, kw_only=True):
    """What an earlier run on this machine concluded of the same target.

    Attributes:
        run: That run. age: its record's `started_at` minus ours, seconds: negative.
        rule: The id of the rule that decided.
    """

    run: str
    age: float
    outcome: Outcome
    mechanisms: tuple[Mechanism, ...] = ()
    rule: str | None = None


class RuleHit(Data, frozen=True, kw_only=True):
    """One rule that held: its id, the steps it rests on, and its sentence."""

    id: str
    steps: tuple[int, ...] = ()
    reason: str = ""


class Verdict(Data, frozen=True, kw_only=True):
    """What we conclude: a claim, with every rule that held, in order.

    Attributes:
        outcome: What became of the target. mechanisms: how the network interfered.
        stage: Seen once, or again in a later run. confidence: from 0 to 1.
        rules: Every rule that held; the first decided.
    """

    outcome: Outcome
    mechanisms: tuple[Mechanism, ...] = ()
    stage: Stage = Stage.SUSPECTED
    confidence: float = 0.0
    rules: tuple[RuleHit, ...] = ()


class Skip(Data, frozen=True, kw_only=True):
    """A target that was not measured, and why."""

    input: str
    reason: str


class RunFacts(Data, frozen=True, kw_only=True):
    """What a run as a whole found out; only in the record whose experiment is `run`.

    Attributes:
        targets, measured: How many there were, and were looked at. outcomes: what they came to.
        bytes_in, bytes_out: What the run cost.
        seed: For every choice that was left open. roots: which roots of trust were used.
        vpn, proxy: Whether a VPN or a proxy was seen on this machine.
        resolvers_dead: Public resolvers that did not answer at all.
        ended: Why it ended.
    """

    targets: int = 0
    measured: int = 0
    outcomes: dict[str, int] = {}
    skipped: tuple[Skip, ...] = ()
    bytes_in: int = 0
    bytes_out: int = 0
    seed: int | None = None
    roots: str | None = None
    vpn: bool | None = None
    proxy: bool | None = None
    resolvers_dead: tuple[str, ...] = ()
    ended: Literal["finished", "time", "bytes", "interrupted"] = "finished"


class Span(Data, frozen=True, kw_only=True):
    """A time, in seconds after the record's `started_at`."""

    since: float
    until: float


class Record(Data, frozen=True, kw_only=True):
    """One measurement of one target by one experiment: a line of the output.

    Attributes:
        id: UUID of this record (version 7: ordered by time). run: UUID of the run it belongs to.
        experiment: Which experiment made it (`web`, `throttle` …), or `run` for the record of the
            run as a whole.
        input: The URL that was asked about, normalised, or `service:NAME` for a service as a whole.
        category: Citizen Lab's code. lab: made in a laboratory, no statement about a real network.
        started_at: RFC 3339 in UTC, with milliseconds. elapsed: how long it took, seconds.
        steps: What was done and what came of it, in the order in which it began.
        certs: Certificates that steps name in `chain`: base64 of the DER by SHA-256.
        control: What controls saw of the same target at about the same time.
        earlier: What earlier runs concluded, newest first, where that may confirm this one.
        loaded: When another experiment loaded the line meanwhile: timings of then say little.
        line: What the run knew of its line. facts: what it found; only in the record of the run.
        verdict: What we conclude; None: not judged. ruleset: version of the rules that judged.
    """

    id: str
    run: str
    experiment: str
    input: str
    category: str | None = None
    lab: bool = False
    started_at: str
    elapsed: float
    vantage: Vantage
    steps: Steps = ()
    certs: dict[str, str] = {}
    control: tuple[Control, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    loaded: tuple[Span, ...] = ()
    line: Line | None = None
    facts: RunFacts | None = None
    verdict: Verdict | None = None
    ruleset: str = "1"
    schema: Literal["qazprobe/1"] = SCHEMA
