"""The record `qazprobe/1`: frozen data without behaviour. Its closed lists are in `probe.words`.

One record is one line of JSON: what was measured (`input`, `experiment`), from where (`vantage`),
each step and its result (`steps`), control measurements (`control`), what the run knew about the
access line (`line`), and the conclusion (`verdict`). The verdict is a claim; the steps are the
evidence. Everything that the rules use is in the record, so that a record can be judged again.

All times are in seconds. `at` and `elapsed` are relative to `started_at` and monotonic. All sizes
are in bytes. `None` means "not known" or "does not apply", never zero.
"""

from typing import Literal, TypeAlias

import msgspec

from probe import bounds
from probe.failure import Failure
from probe.travel import (
    Data as Data,  # noqa: PLC0414 - passed on to every reader of records
    Packet as Packet,  # noqa: PLC0414 - passed on to every reader of records
    StopPlace as StopPlace,  # noqa: PLC0414 - passed on to every reader of records
    Travel as Travel,  # noqa: PLC0414 - passed on to every reader of records
)
from probe.words import (
    Mechanism as Mechanism,  # noqa: PLC0414 - passed on to every reader of records
    Outcome as Outcome,  # noqa: PLC0414 - passed on to every reader of records
    Role as Role,  # noqa: PLC0414 - passed on to every reader of records
    Stage as Stage,  # noqa: PLC0414 - passed on to every reader of records
    TrustReason as TrustReason,  # noqa: PLC0414 - passed on to every reader of records
)

SCHEMA: Literal["qazprobe/1"] = "qazprobe/1"


class Base(Data, frozen=True, kw_only=True):
    """The fields of every step.

    Attributes:
        id: Number of the step within its record, from 1, in order of their start.
        parent: The step that this one depends on (a handshake on its connection), or None.
        hop: 0 for the target itself, 1 for the first redirect, and so on.
        try_: 1 for the first measurement, 2 and more for its confirmations (`try` in the record).
        failure: How it failed, or None if it succeeded.
        detail: More about the failure, scrubbed.
        at: When it began, seconds after the record's `started_at`.
        elapsed: How long it took, seconds.
        limit: Its timeout, seconds.
        travel: TTL and packets, where the TTL was limited or packets were captured.
    """

    id: bounds.StepNumber = 0
    parent: bounds.StepNumber | None = None
    role: Role = Role.TARGET
    hop: bounds.HopNumber = 0
    try_: bounds.Tries = msgspec.field(default=1, name="try")
    failure: Failure | None = None
    detail: bounds.Sentence | None = None
    at: bounds.Moment = 0.0
    elapsed: bounds.Duration = 0.0
    limit: bounds.Duration = 0.0
    travel: Travel | None = None


Transport: TypeAlias = Literal["udp", "tcp", "dot", "doh"]
ENCRYPTED: frozenset[Transport] = frozenset({"doh", "dot"})


class ExtendedError(Data, frozen=True, kw_only=True, omit_defaults=True):
    """What a resolver says about its own answer (RFC 8914).

    Attributes:
        code: 4 forged, 15 blocked, 16 censored, 17 filtered, 18 prohibited, 6 DNSSEC bogus …
        text: Its words, scrubbed.
    """

    code: bounds.Number16
    text: bounds.Text = ""


class Edns(Data, frozen=True, kw_only=True, omit_defaults=True):
    """The OPT record of a reply (RFC 6891). Fields without a value are left out.

    Attributes:
        authenticated: The resolver validated the answer with DNSSEC (the AD bit).
        errors: Its Extended DNS Errors.
        nsid: Which of a public resolver's machines answered (RFC 5001).
    """

    authenticated: bool = False
    errors: bounds.Few[ExtendedError] = ()
    nsid: bounds.Text | None = None


class Reply(Data, frozen=True, kw_only=True):
    """One reply to one DNS query. Several replies to one query indicate injection.

    Attributes:
        at: Seconds after the query was sent.
        rcode: RFC 1035 response code (0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED).
        answers: The addresses, in order.
        cnames: The aliases, in order.
        ttl: Time to live of each address record, seconds.
        ip_ttl: IP TTL of the packet, where the system reports it; it differs between packets from
            different senders.
        alpn: Protocols in HTTPS records (RFC 9460), in order: `h3`, `h2` …
        truncated: The reply did not fit into its packet and was not received over TCP either.
        edns: Its OPT record, or None without one.
    """

    at: bounds.Moment
    rcode: bounds.Number16
    answers: bounds.Some[bounds.Address] = ()
    cnames: bounds.Few[bounds.Name] = ()
    ttl: bounds.Some[bounds.Number32] = ()
    ip_ttl: bounds.Octet | None = None
    alpn: bounds.Few[bounds.Word] = ()
    truncated: bool = False
    edns: Edns | None = None


class Dns(Base, frozen=True, kw_only=True, tag_field="op", tag="dns"):
    """One DNS query and every reply to it.

    Attributes:
        resolver: `system` for the resolver that the machine is configured with (its address may
            identify the user and is not recorded), else the public resolver's address.
        type: `A` or `AAAA` (or another RR type name).
        passed_over: How the machine's resolvers failed that are configured before the one that
            answered. Only for `system`.
        nearby: The system's resolver has an address of a private network or of this machine: a home
            router, a filter at home or a stub. Its answers may be theirs.
        public: The system's resolver is one that serves the public (`targets/resolvers.toml`): the
            user chose it, and its answers follow its operator's policy, not the access network's.
        edns_failed: How the resolver failed on a query with an OPT record;
            the replies are to a query without one.
    """

    name: bounds.Name
    resolver: bounds.Name
    transport: Transport = "udp"
    type: bounds.Word = "A"
    replies: bounds.Few[Reply] = ()
    passed_over: bounds.Few[Failure] = ()
    nearby: bool | None = None
    public: bool | None = None
    edns_failed: Failure | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the first reply."""
        return self.replies[0].answers if self.replies else ()


class Tcp(Base, frozen=True, kw_only=True, tag_field="op", tag="tcp"):
    """One TCP connection attempt.

    Attributes:
        segment_limit: Both sides were told to send no TCP segment larger than this, bytes, to see
            whether larger packets are lost. None: no such limit.
    """

    address: bounds.Address
    port: bounds.Port
    errno: bounds.Signed32 | None = None
    segment_limit: bounds.Number32 | None = None


class Authority(Data, frozen=True, kw_only=True):
    """A known certificate authority that a chain leads to, or claims to.

    Attributes:
        id: Its id in `targets/authorities/`.
        kind: `interception` (a key made to intercept TLS), `national` (a national root that is not
            in browsers and not known to intercept), or `service` (the private root of one
            service's apps).
        proof: `verified` if a signature in the chain verifies with its public key or it is in the
            chain itself; `claimed` if only names or key identifiers match, which can be forged.
    """

    id: bounds.Word
    kind: Literal["interception", "national", "service"]
    proof: Literal["verified", "claimed"]


class Trust(Data, frozen=True, kw_only=True):
    """What a served chain proves, verified after the handshake with Mozilla's roots.

    Attributes:
        valid: The chain leads to a Mozilla root, is valid now, and is for the expected name.
        reason: Why not, or None when valid.
        anchored: The chain leads to a Mozilla root, regardless of dates and names.
        named: The leaf is for the expected name.
        subject, issuer: The leaf's, RFC 4514, cut at 256 characters.
        issuer_key: SHA-256 of the issuing public key if it is in the chain, else the leaf's
            authority key identifier as `aki:<hex>`, else `name:<sha256 of the issuer's name>`.
            Two leaves of one interceptor share it.
        leaf_key: SHA-256 of the leaf's public key.
        not_before, not_after: The leaf's validity, RFC 3339 in UTC.
        serial: The leaf's, hex; empty if longer than RFC 5280 allows.
        logged: The leaf has signed certificate timestamps of public logs (RFC 6962).
        extensions: How many extensions the leaf has besides its names and basic constraints.
            Interceptors usually copy only those two.
        authority: A known authority that it leads to or claims, or None.
        local: The issuer is in this machine's store and not in Mozilla's, as for an antivirus, an
            office proxy, or a root that the user installed. None: not known.
    """

    valid: bool
    reason: TrustReason | None = None
    anchored: bool = False
    named: bool = False
    subject: bounds.Text = ""
    issuer: bounds.Text = ""
    issuer_key: bounds.KeyName = ""
    leaf_key: bounds.KeyName = ""
    not_before: bounds.Word | None = None
    not_after: bounds.Word | None = None
    serial: bounds.Word = ""
    logged: bool | None = None
    extensions: bounds.Count | None = None
    authority: Authority | None = None
    local: bool | None = None


class Tls(Base, frozen=True, kw_only=True, tag_field="op", tag="tls"):
    """One TLS handshake, completed or not.

    Attributes:
        sni: The name that was offered, or None.
        hello: Which ClientHello was sent: `default`, `tls12`, `tls13`, `split`, `ech` … With `ech`
            the handshake is not finished: no failure means that a ServerHello was received.
        bytes_out, bytes_in: TLS bytes sent and received up to the end of the handshake.
        alert: The TLS alert number (RFC 8446 section 6) that ended it.
        alert_by: Which side sent the alert.
        server_hello: The JA3S string of the server's first answer: `version,cipher,extensions` in
            decimal, extensions joined by dashes in order. It depends on the server's software and
            on the ClientHello.
        chain: SHA-256 of every certificate served, leaf first; their DER is in the record's certs.
        trust: What the chain proves; None if no certificate was received.
        acknowledged: After a timeout: the peer's TCP acknowledged all sent data. A packet that was
            dropped is not acknowledged; a server that hangs acknowledges it.
    """

    address: bounds.Address
    port: bounds.Port
    sni: bounds.Name | None = None
    hello: bounds.Word = "default"
    bytes_out: bounds.Size = 0
    bytes_in: bounds.Size = 0
    version: bounds.Word | None = None
    cipher: bounds.Word | None = None
    alpn: bounds.Text | None = None
    alert: bounds.Octet | None = None
    alert_by: Literal["peer", "us"] | None = None
    server_hello: bounds.ServerHello | None = None
    chain: bounds.Few[bounds.Hash] = ()
    trust: Trust | None = None
    acknowledged: bool | None = None

    @property
    def answered(self) -> bool:
        """Whether TLS bytes were received, from the server or a middlebox."""
        return self.bytes_in > 0


class Http(Base, frozen=True, kw_only=True, tag_field="op", tag="http"):
    """One HTTP exchange.

    Attributes:
        form: How the plain request was written: `default`, as a browser does, `lower_case`, `tab`,
            `split` … (docs/hellos.md).
        proven: It used TLS with a chain that proves the URL's host.
        status: None if there was no valid status line.
        malformed: The bytes received are no HTTP response (`body` has them).
        headers: The headers of an allow-list, names in lower case.
        location: Where a redirect points, absolute.
        title: Text of <title>, white space collapsed, at most 256 characters.
        declared_bytes: Content-Length, if any.
        received_bytes: Body bytes received.
        complete: The body was received to its end (or to the cap).
        sha256: Of the body as received.
        fuzzy: 64-bit similarity hash (simhash of word triples), 16 hex digits.
        links: Host names that the page links to, sorted, at most 32.
        body: Base64 of the first 4 KiB, only if not `proven`.
        bytes_out, bytes_in: Bytes of the exchange above TCP.
        peak_gap: The longest gap between two arrivals, seconds.
        arriving: From the first arrival to the last one, less the longest pause, seconds.
        later_bytes, later_arriving: The same of the later half, if 320 KiB were read; with pauses.
        acknowledged: After a timeout: the peer's TCP acknowledged all sent data.
    """

    url: bounds.Url
    address: bounds.Address
    port: bounds.Port
    host: bounds.Name
    method: bounds.Word = "GET"
    form: bounds.Word = "default"
    proven: bool = False
    version: bounds.Word | None = None
    status: bounds.Status | None = None
    malformed: bool = False
    headers: bounds.Headers = {}  # noqa: RUF012 - msgspec copies it
    location: bounds.Url | None = None
    title: bounds.Text | None = None
    declared_bytes: bounds.Size | None = None
    received_bytes: bounds.Size = 0
    complete: bool = False
    sha256: bounds.Hash | None = None
    fuzzy: bounds.Similarity | None = None
    links: bounds.Few[bounds.Name] = ()
    body: bounds.Excerpt | None = None
    bytes_out: bounds.Size = 0
    bytes_in: bounds.Size = 0
    peak_gap: bounds.Duration | None = None
    arriving: bounds.Duration | None = None
    later_bytes: bounds.Size | None = None
    later_arriving: bounds.Duration | None = None
    acknowledged: bool | None = None


class Quic(Base, frozen=True, kw_only=True, tag_field="op", tag="quic"):
    """One QUIC handshake attempt (RFC 9000).

    Attributes:
        icmp: The errno of an ICMP error (111 refused, 113 unreachable), or None.
        error: The code of the CONNECTION_CLOSE (RFC 9000 section 20) of either side.
        versions: The versions in a version negotiation packet.
    """

    address: bounds.Address
    port: bounds.Port
    sni: bounds.Name | None = None
    bytes_out: bounds.Size = 0
    bytes_in: bounds.Size = 0
    datagrams_out: bounds.Count = 0
    datagrams_in: bounds.Count = 0
    alpn: bounds.Text | None = None
    alert: bounds.Octet | None = None
    icmp: bounds.Signed32 | None = None
    error: bounds.VarInt | None = None
    versions: bounds.Few[bounds.Number32] = ()
    chain: bounds.Few[bounds.Hash] = ()
    trust: Trust | None = None


class Sample(Data, frozen=True, kw_only=True, array_like=True):
    """One sample of a running transfer: [at, wire, segments, out_of_order, rcv_rtt, min_rtt].

    Attributes:
        at: Seconds after the request was sent.
        wire: Ciphertext bytes so far.
        segments, out_of_order: TCP_INFO counters, or None where there are none.
        rcv_rtt, min_rtt: Seconds, or None.
    """

    at: bounds.Moment
    wire: bounds.Size
    segments: bounds.Size | None = None
    out_of_order: bounds.Size | None = None
    rcv_rtt: bounds.Duration | None = None
    min_rtt: bounds.Duration | None = None


class Transfer(Base, frozen=True, kw_only=True, tag_field="op", tag="transfer"):
    """One timed transfer, for the throttling and speed experiments.

    Attributes:
        arm: A target's name at a neutral server, B control name there, C target's name at the
            target's address, D another name there, E and F as A and B, later in a connection, L
            the line itself.
        pair: Which pair of the sequence, from 1; 0 for a longer transfer outside the sequence.
        host: The Host header.
        protocol: `http`: one request to a bulk server or a target. `ndt7`: a test of a server that
            the user named.
        status: The HTTP status.
        asked_bytes: Size requested. received_bytes: body bytes received (for `up`: accepted).
        wire_bytes: Ciphertext bytes of the whole connection, handshake included.
        ended: `full`, `cap` (time limit), `stall`, `eof`, `reset`, `error`; `budget` if it was not
            started because the day's byte quota was used up.
        held: Seconds from the request on in which the probe read slowly on purpose, to see limits
            that begin later.
        rate: Plateau, bytes per second, or None.
        stalled_at: Ciphertext bytes received when it stalled, or None.
        cpu_seconds: Processor time of the transfer: a slow machine is not a slow network.
        other_bytes: Cross traffic on the outgoing interface, both directions (Linux only).
    """

    address: bounds.Address
    port: bounds.Port
    sni: bounds.Name | None = None
    arm: Literal["A", "B", "C", "D", "E", "F", "L"]
    pair: bounds.Tries
    direction: Literal["down", "up"] = "down"
    host: bounds.Name | None = None
    protocol: Literal["http", "ndt7"] = "http"
    status: bounds.Status | None = None
    asked_bytes: bounds.Size = 0
    received_bytes: bounds.Size = 0
    wire_bytes: bounds.Size = 0
    ended: Literal["full", "cap", "stall", "eof", "reset", "error", "budget"] = "error"
    connect_seconds: bounds.Duration | None = None
    handshake_seconds: bounds.Duration | None = None
    first_byte_seconds: bounds.Duration | None = None
    held: bounds.Duration = 0.0
    rate: bounds.Rate | None = None
    longest_gap: bounds.Duration | None = None
    stalled_at: bounds.Size | None = None
    segment_bytes: bounds.Number32 | None = None
    cpu_seconds: bounds.Duration | None = None
    other_bytes: bounds.Size | None = None
    samples: bounds.Many[Sample] = ()


class Ping(Base, frozen=True, kw_only=True, tag_field="op", tag="ping"):
    """A reachability test other than DNS, TLS or HTTP (of a gateway, a port, a service).

    Attributes:
        what: `gateway`, `resolver`, `port`, `router`, a protocol (`mtproto`), a part of a service …
        address: Not recorded (None) for the user's gateway, for routers near it, and for servers
            of the user's configuration. None also if the step only sums up its parent.
        bytes_out, bytes_in: Bytes of an application message and of what was received.
        asn, country: Of a router or of the server behind it: its network and that network's country
            in the probe's table of networks.
    """

    what: bounds.Word
    address: bounds.Address | None = None
    port: bounds.Port | None = None
    bytes_out: bounds.Size = 0
    bytes_in: bounds.Size = 0
    asn: bounds.Number32 | None = None
    country: bounds.Word | None = None


Step: TypeAlias = Dns | Tcp | Tls | Http | Quic | Transfer | Ping
Steps: TypeAlias = bounds.Many[Step]


class Vantage(Data, frozen=True, kw_only=True):
    """Where a record was made, as precisely as the user chose to say.

    Attributes:
        role: `probe` on a user's line, `control` on an uncensored network.
        country: ISO 3166 code of two letters.
        asn: Number of the autonomous system. network: its name.
        asn_source: Where `country` and `asn` are from: the configuration, a collector, or a
            collector's earlier answer on the same network.
        region: What the user chose to say (ISO 3166-2), never derived.
        kind: `fixed`, `mobile` … as the configuration says.
        platform: Operating system. version: of the probe.
    """

    role: Literal["probe", "control"] = "probe"
    country: bounds.Word | None = None
    asn: bounds.Number32 | None = None
    asn_source: Literal["config", "collector", "remembered"] | None = None
    network: bounds.Text | None = None
    region: bounds.Word | None = None
    kind: bounds.Word | None = None
    platform: bounds.Text = ""
    version: bounds.Word = ""


class SharedOutcome(Data, frozen=True, kw_only=True):
    """An outcome of this record that nearly all other hosts of the run had around the same moment.

    Attributes:
        op: `dns`, `tcp`, `tls`, `http` (plain HTTP), or `https` (a page over TLS).
        port, family: The port, and 4 or 6; 0 where it does not matter.
        sign: A failure word, or what identifies the page, the certificate or the answer.
        hosts: How many unrelated hosts had it. of: among how many others.
    """

    op: bounds.Word
    port: bounds.Port = 0
    family: bounds.Octet = 0
    sign: bounds.Text = ""
    hosts: bounds.Count = 0
    of: bounds.Count = 0


class Line(Data, frozen=True, kw_only=True):
    """What the run knew about the access line when it judged this record. None: not measured.

    Attributes:
        alive_before, alive_after: A reference site worked shortly before and shortly after the
            target's last failing step.
        references, references_failed: How many measurements of reference sites the run made, and
            how many failed.
        round_trip: Median TCP connect time to reference sites that worked, seconds.
        handshake: Median TLS handshake time on this line, seconds.
        loss: Share of reference measurements that failed first and worked when repeated.
        resets: Share of them that were reset or closed, if this happened at several sites.
        page_rate: Median bytes a second at which the pages of other hosts of the run came.
        clock_offset: This machine's clock minus true time, seconds, from an authenticated source.
        resigned_by: `issuer_key` of an untrusted authority that signs for unrelated names.
        resigned_names: For how many unrelated names it signs.
        resigned_harmless: For how many harmless names, offered at targets' addresses.
        trusted_names: How many unrelated names a Mozilla-trusted chain proved in this run.
        portal: One page, or one redirect, answers for unrelated names over plain HTTP.
        portal_hosts: For how many names.
        portal_sign: What identifies it: the SHA-256 of the page, or `to HOST`.
        foreign_alive, domestic_alive: Shares of foreign and domestic anchors that worked.
        nxdomain_answered: The system's resolver returned addresses for a name that does not exist.
        nxdomain_addresses: These addresses.
        hijacked_resolvers: Addresses without a resolver from which DNS answers came.
        shared: Outcomes of this record that nearly all other hosts of the run had, too.
        hoster: Those that all other hosts of the run in the target's network (/24, or /48 for IPv6)
            had, at least two: its hoster may have failed. Or at least three in its autonomous
            system, where the probe has a table of networks.
        sinks: Addresses that the system's resolver gave for unrelated names, that proved none of
            them, and that no other resolver gave.
    """

    alive_before: bool | None = None
    alive_after: bool | None = None
    references: bounds.Count = 0
    references_failed: bounds.Count = 0
    round_trip: bounds.Duration | None = None
    handshake: bounds.Duration | None = None
    loss: bounds.Share | None = None
    resets: bounds.Share | None = None
    page_rate: bounds.Rate | None = None
    clock_offset: bounds.ClockOffset | None = None
    resigned_by: bounds.KeyName | None = None
    resigned_names: bounds.Count = 0
    resigned_harmless: bounds.Count = 0
    trusted_names: bounds.Count = 0
    portal: bool | None = None
    portal_hosts: bounds.Count = 0
    portal_sign: bounds.Name | None = None
    foreign_alive: bounds.Share | None = None
    domestic_alive: bounds.Share | None = None
    nxdomain_answered: bool | None = None
    nxdomain_addresses: bounds.Some[bounds.Address] = ()
    hijacked_resolvers: bounds.Few[bounds.Address] = ()
    shared: bounds.Some[SharedOutcome] = ()
    hoster: bounds.Some[SharedOutcome] = ()
    sinks: bounds.Some[bounds.Address] = ()
    ipv6: bool | None = None


class Control(Data, frozen=True, kw_only=True):
    """One control measurement of the same target, reduced to the steps that are compared.

    Attributes:
        id: The control's record. age: its `started_at` minus ours, seconds: negative is before.
        certs: Leaf certificates that the steps name: base64 of the DER by SHA-256. Only in answers
            to a recheck.
    """

    id: bounds.RecordId
    age: bounds.Age
    steps: Steps = ()
    certs: bounds.Certificates = {}  # noqa: RUF012 - msgspec copies it


class Earlier(Data, frozen=True, kw_only=True):
    """The verdict of an earlier run on this machine about the same target.

    Attributes:
        run: That run. age: its record's `started_at` minus ours, seconds: negative.
        rule: The id of the deciding rule.
    """

    run: bounds.RecordId
    age: bounds.Age
    outcome: Outcome
    mechanisms: bounds.Few[Mechanism] = ()
    rule: bounds.Word | None = None


class RuleHit(Data, frozen=True, kw_only=True):
    """One rule that matched: its id, the steps it rests on, and its sentence."""

    id: bounds.Word
    steps: bounds.Some[bounds.StepNumber] = ()
    reason: bounds.Sentence = ""


class Verdict(Data, frozen=True, kw_only=True):
    """The conclusion, with every rule that matched, in order.

    Attributes:
        outcome: The state of the target. mechanisms: how the network interfered.
        stage: From one run, or confirmed by a later run. confidence: from 0 to 1.
        rules: Every rule that matched; the first decides.
        place: Where the packets are stopped, as far as packets with a limited TTL showed it.
    """

    outcome: Outcome
    mechanisms: bounds.Few[Mechanism] = ()
    stage: Stage = Stage.SUSPECTED
    confidence: bounds.Share = 0.0
    rules: bounds.Some[RuleHit] = ()
    place: StopPlace | None = None


class Skip(Data, frozen=True, kw_only=True):
    """A target that was not measured, and why."""

    input: bounds.Input
    reason: bounds.Sentence


class RunFacts(Data, frozen=True, kw_only=True):
    """The results of a run as a whole; only in the record whose experiment is `run`.

    Attributes:
        targets, measured: How many there were, and how many were measured. outcomes: their counts.
        skipped: Some of the targets that were not measured, at most 50, each with its reason.
        skipped_counts: How many targets were not measured, by reason.
        bytes_in, bytes_out: What the run cost.
        seed: Of every random choice. roots: which root certificates were used.
        vpn, proxy: Whether a VPN or a proxy was seen on this machine.
        resolvers_dead: Public resolvers that never answered.
        ended: Why it ended.
    """

    targets: bounds.Count = 0
    measured: bounds.Count = 0
    outcomes: bounds.Counts = {}  # noqa: RUF012 - msgspec copies it
    skipped: bounds.Few[Skip] = ()
    skipped_counts: bounds.Counts = {}  # noqa: RUF012 - msgspec copies it
    bytes_in: bounds.Size = 0
    bytes_out: bounds.Size = 0
    seed: bounds.Seed | None = None
    roots: bounds.Text | None = None
    vpn: bool | None = None
    proxy: bool | None = None
    resolvers_dead: bounds.Some[bounds.Name] = ()
    ended: Literal["finished", "time", "bytes", "interrupted"] = "finished"


class Span(Data, frozen=True, kw_only=True):
    """An interval, in seconds after the record's `started_at`."""

    since: bounds.Moment
    until: bounds.Moment


class Record(Data, frozen=True, kw_only=True):
    """One measurement of one target by one experiment: a line of the output.

    Attributes:
        id: UUID of this record (version 7: ordered by time). run: UUID of the run it belongs to.
        experiment: Which experiment made it (`web`, `throttle` …), or `run` for the record of the
            run as a whole.
        input: The measured URL, normalised, or `service:NAME` for a service as a whole.
        category: Citizen Lab's code. lab: made in a lab, no statement about a real network.
        started_at: RFC 3339 in UTC, with milliseconds. elapsed: how long it took, seconds.
        steps: The operations and their results, in order of their start.
        certs: Certificates that steps name in `chain`: base64 of the DER by SHA-256.
        resolver_asn: The network of the system's resolver, by the probe's table of networks; the
            provider's own where it equals `vantage.asn`. None: not known, or a private address.
        control: Control measurements of the same target at about the same time.
        earlier: Verdicts of earlier runs, newest first, where they may confirm this one.
        loaded: When another experiment loaded the line; timings in these intervals are unreliable.
        line: What the run knew about its line. facts: its results; only in the record of the run.
        verdict: The conclusion; None: not judged. ruleset: version of the rules.
        origin: `ooni` if it was made from a measurement of OONI's, `atlas` from a result of RIPE
            Atlas's, `ooni/qazprobe` if it came back from one of OONI's that carried it. None: a
            probe's own. A collector takes the others from its operator alone.
        collector: Only in a collector's export: the columns of its row, with its own verdict.
    """

    id: bounds.RecordId
    run: bounds.RecordId
    experiment: bounds.ExperimentName
    input: bounds.Input
    category: bounds.Word | None = None
    lab: bool = False
    started_at: bounds.Instant
    elapsed: bounds.Duration
    vantage: Vantage
    steps: Steps = ()
    certs: bounds.Certificates = {}  # noqa: RUF012 - msgspec copies it
    resolver_asn: bounds.Number32 | None = None
    control: bounds.Few[Control] = ()
    earlier: bounds.Few[Earlier] = ()
    loaded: bounds.Few[Span] = ()
    line: Line | None = None
    facts: RunFacts | None = None
    verdict: Verdict | None = None
    ruleset: bounds.Word = "1"
    origin: bounds.Word | None = None
    collector: bounds.Columns | msgspec.UnsetType = msgspec.UNSET
    schema: Literal["qazprobe/1"] = SCHEMA
