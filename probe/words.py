"""The closed lists of words of a record: outcomes, mechanisms, purposes and reasons.

The words are permanent, because records and scripts contain them. `probe.model` passes them on.
"""

from enum import StrEnum, unique


@unique
class Outcome(StrEnum):
    """The state of a target, as measured from one vantage point."""

    OK = "ok"
    BLOCKED = "blocked"
    INTERCEPTED = "intercepted"
    THROTTLED = "throttled"
    REFUSED = "refused"
    DOWN = "down"
    INCONCLUSIVE = "inconclusive"


@unique
class Mechanism(StrEnum):
    """How the network interfered, by layer. The ids are permanent."""

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
    """Whether a verdict rests on one run, or was confirmed by a later run."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"


@unique
class Role(StrEnum):
    """The purpose of a step.

    `target` is the target itself. `harmless` is the target's address with a name that is not
    censored. `reference` is another site, which must work. `neutral` is a server of the project, or
    an address that is unrelated to the target.
    """

    TARGET = "target"
    HARMLESS = "harmless"
    REFERENCE = "reference"
    NEUTRAL = "neutral"


@unique
class TrustReason(StrEnum):
    """Why a chain does not prove its name; the first that applies, in this order."""

    EMPTY = "empty"
    MALFORMED = "malformed"
    SELF_SIGNED = "self_signed"
    UNKNOWN_AUTHORITY = "unknown_authority"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    HOSTNAME = "hostname"
    REJECTED = "rejected"


# What makes records: each experiment, and `run` as a whole. A collector accepts no others.
EXPERIMENTS = (
    "connectivity",
    "dns",
    "hello",
    "messenger",
    "mitm",
    "openvpn",
    "quic",
    "request",
    "run",
    "signal",
    "sni",
    "speed",
    "telegram",
    "throttle",
    "tor",
    "trace",
    "web",
    "whatsapp",
    "wireguard",
)
