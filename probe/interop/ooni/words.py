"""OONI's closed lists of words and ours, in both directions.

OONI has two vocabularies of failures. Its probes write today's words (data format df-007), which
are also those of `probe.failure`. Its test helper, and probes before 2020, write older ones. What
one side has no word for becomes `unknown_failure`, and the foreign word is kept as its detail.

Nothing here is OONI's own text: words of a format are facts. Names of suites: `suites.py`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from probe.failure import Failure
from probe.model import Outcome, Transport, TrustReason, Verdict

DETAIL = 200  # characters of a foreign failure that are kept

Blocking: TypeAlias = Literal["dns", "tcp_ip", "http-failure", "http-diff"]
Layer: TypeAlias = Literal["dns", "tcp", "http"]
ForeignFailure: TypeAlias = str | bool | None  # old probes also wrote false and an empty text

# --- failures: OONI's into ours ----------------------------------------------------------------

UNKNOWN = Failure.UNKNOWN.value
_SHARED: Final[Mapping[str, Failure]] = MappingProxyType({each.value: each for each in Failure})

# Words that today's probes, the test helper, or old probes write, and that we have under another.
_FAILURES: Final[Mapping[str, Failure]] = MappingProxyType(
    {
        "timed_out": Failure.TIMEOUT,
        "deferred_timeout_error": Failure.TIMEOUT,
        "task_timed_out": Failure.TIMEOUT,
        "tcp_timed_out_error": Failure.TIMEOUT,
        # A socket that the probe itself closed in another thread.
        "connection_already_closed": Failure.INTERRUPTED,
        "connection_refused_error": Failure.REFUSED,
        "connection_done": Failure.EOF,
        "dns_name_error": Failure.DNS_NXDOMAIN,
        "dns_name_failure": Failure.DNS_SERVFAIL,
        # Of the helper: refused, misbehaving, temporary or beyond recovery.
        "dns_server_failure": Failure.DNS_MISBEHAVING,
        # A spelling that stood in the format for years.
        "ssl_unknown_autority": Failure.SSL_AUTHORITY,
    }
)

# `unknown_failure: TEXT` of old probes, where the text is the only evidence that was kept: parts of
# messages of Go's library and of Windows, the first that occurs decides. Measuring code of ours
# never classifies by a text.
_TEXTS: Final[tuple[tuple[str, Failure], ...]] = (
    ("actively refused it", Failure.REFUSED),
    ("connection refused", Failure.REFUSED),
    ("connection reset by peer", Failure.RESET),
    ("forcibly closed by the remote host", Failure.RESET),
    ("por el host remoto", Failure.RESET),
    ("dall'host remoto", Failure.RESET),
    ("pelo anfitrião remoto", Failure.RESET),
    ("no route to host", Failure.HOST_UNREACHABLE),
    ("network is unreachable", Failure.NETWORK_UNREACHABLE),
    ("unreachable network", Failure.NETWORK_UNREACHABLE),
    ("operation timed out", Failure.TIMEOUT),
    ("i/o timeout", Failure.TIMEOUT),
    ("timeout awaiting response headers", Failure.TIMEOUT),
    ("server misbehaving", Failure.DNS_MISBEHAVING),
    ("no such host", Failure.DNS_NXDOMAIN),
    ("No address associated with hostname", Failure.DNS_NO_ANSWER),
    ("no data of the requested type", Failure.DNS_NO_ANSWER),
    ("keine Daten des angeforderten Typs", Failure.DNS_NO_ANSWER),
    ("temporary error during hostname resolution", Failure.DNS_TEMPORARY),
    ("erreur temporaire qui se produit durant la résolution", Failure.DNS_TEMPORARY),
    ("zeitweiliger Fehler bei der Auflösung", Failure.DNS_TEMPORARY),
    ("erro temporário durante a resolução", Failure.DNS_TEMPORARY),
    ("error temporal durante la resolución", Failure.DNS_TEMPORARY),
    ("certificate has expired or is not yet valid", Failure.SSL_CERTIFICATE),
    ("first record does not look like a TLS handshake", Failure.SSL_HANDSHAKE),
    ("remote error: tls: ", Failure.SSL_HANDSHAKE),
)


def from_ooni(failure: ForeignFailure) -> tuple[Failure | None, str | None]:
    """Our failure for OONI's, and what our word does not say, as a detail."""
    if not failure:
        return None, None
    if failure is True:
        return Failure.UNKNOWN, None
    word = failure.partition(":")[0].strip()
    if word == UNKNOWN:
        return _from_text(failure)
    if word in _SHARED:
        return _SHARED[word], None
    return _FAILURES.get(word, Failure.UNKNOWN), failure[:DETAIL]


def _from_text(failure: str) -> tuple[Failure, str | None]:
    text = failure.partition(":")[2].strip()
    found = next((ours for part, ours in _TEXTS if part in text), Failure.UNKNOWN)
    return found, text[:DETAIL] or None


# --- failures: ours into OONI's ----------------------------------------------------------------


def to_ooni(failure: Failure | None, detail: str | None = None) -> str | None:
    """OONI's word (df-007) for our failure; a failure without a word carries its detail."""
    if failure is Failure.UNKNOWN and detail:
        return f"{UNKNOWN}: {detail}"
    return None if failure is None else failure.value


_LEGACY_DNS = MappingProxyType(
    {
        Failure.DNS_NXDOMAIN: "dns_name_error",
        Failure.DNS_NON_RECOVERABLE: "dns_server_failure",
        Failure.DNS_REFUSED: "dns_server_failure",
        Failure.DNS_MISBEHAVING: "dns_server_failure",
        Failure.DNS_TEMPORARY: "dns_server_failure",
    }
)
_LEGACY_TCP = MappingProxyType(
    {
        Failure.TIMEOUT: Failure.TIMEOUT.value,
        Failure.REFUSED: "connection_refused_error",
    }
)
_LEGACY_HTTP = MappingProxyType(
    {
        Failure.DNS_NXDOMAIN: "dns_lookup_error",
        Failure.DNS_NO_ANSWER: "dns_lookup_error",
        Failure.DNS_NON_RECOVERABLE: "dns_lookup_error",
        Failure.DNS_REFUSED: "dns_lookup_error",
        Failure.DNS_MISBEHAVING: "dns_lookup_error",
        Failure.DNS_TEMPORARY: "dns_lookup_error",
        Failure.TIMEOUT: Failure.TIMEOUT.value,
        Failure.REFUSED: "connection_refused_error",
    }
)
_LEGACY: Mapping[Layer, tuple[Mapping[Failure, str], str]] = MappingProxyType(
    {
        "dns": (_LEGACY_DNS, "unknown_error"),
        "tcp": (_LEGACY_TCP, "connect_error"),
        "http": (_LEGACY_HTTP, "unknown_error"),
    }
)


def to_legacy(layer: Layer, failure: Failure | None) -> str | None:
    """The word of OONI's test helper, in which `control` of a measurement is written.

    Its TLS and QUIC handshakes use today's words, as `to_ooni` gives them. In DNS, no answer of the
    requested type is no failure there.
    """
    if failure is None or (layer == "dns" and failure is Failure.DNS_NO_ANSWER):
        return None
    words, otherwise = _LEGACY[layer]
    return words.get(failure, otherwise)


# --- DNS ---------------------------------------------------------------------------------------

SYSTEM = "system"  # the resolver that the machine is configured with
SCRUBBED = "[scrubbed]"

# Engines that ask the machine's own resolver, under the names of different versions.
_SYSTEM_ENGINES = frozenset({SYSTEM, "getaddrinfo", "golang_net_resolver", "netgo"})
_TRANSPORTS: Mapping[str, Transport] = MappingProxyType(
    {"udp": "udp", "tcp": "tcp", "dot": "dot", "doh": "doh", "doh3": "doh"}
)
_PORTS: Mapping[Transport, int] = MappingProxyType({"udp": 53, "tcp": 53, "dot": 853, "doh": 443})


def engine(resolver: str, transport: Transport) -> str:
    """The engine of a query of ours."""
    return SYSTEM if resolver == SYSTEM else transport


def resolver_address(resolver: str, transport: Transport) -> str:
    """The address of its resolver: "" for the system's, a URL for DNS over HTTPS."""
    if resolver == SYSTEM:
        return ""
    if transport == "doh":
        return f"https://{_bracketed(resolver)}/dns-query"
    return endpoint(resolver, _PORTS[transport])


def is_system(engine_name: str | None) -> bool:
    """Whether a query of OONI's asked the machine's own resolver."""
    return engine_name in _SYSTEM_ENGINES


def transport_of(engine_name: str | None) -> Transport | None:
    """Our transport for OONI's engine; None for one that we do not know."""
    return "udp" if is_system(engine_name) else _TRANSPORTS.get(engine_name or "")


def endpoint(address: str, port: int) -> str:
    """An address with its port, as OONI writes it: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    return f"{_bracketed(address)}:{port}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


# --- TLS ---------------------------------------------------------------------------------------

# What OONI's handshake, which verifies at once, would have said of a chain that proves nothing.
_SSL: Mapping[TrustReason, Failure] = MappingProxyType(
    {
        TrustReason.HOSTNAME: Failure.SSL_HOSTNAME,
        TrustReason.UNKNOWN_AUTHORITY: Failure.SSL_AUTHORITY,
        TrustReason.SELF_SIGNED: Failure.SSL_AUTHORITY,
        TrustReason.INCOMPLETE: Failure.SSL_AUTHORITY,
        TrustReason.EXPIRED: Failure.SSL_CERTIFICATE,
        TrustReason.NOT_YET_VALID: Failure.SSL_CERTIFICATE,
        TrustReason.REJECTED: Failure.SSL_CERTIFICATE,
        TrustReason.MALFORMED: Failure.SSL_CERTIFICATE,
        TrustReason.EMPTY: Failure.SSL_CERTIFICATE,
    }
)
# The other way round, for a chain that was not kept: the reason that claims least.
_TRUST: Mapping[Failure, TrustReason] = MappingProxyType(
    {
        Failure.SSL_HOSTNAME: TrustReason.HOSTNAME,
        Failure.SSL_AUTHORITY: TrustReason.UNKNOWN_AUTHORITY,
        Failure.SSL_CERTIFICATE: TrustReason.REJECTED,
    }
)
CERTIFICATE_FAILURES = frozenset(_TRUST)

TLS_VERSIONS = frozenset({"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"})  # both sides' words


def ssl_failure(reason: TrustReason | None) -> Failure | None:
    """The failure that OONI's handshake has for what a chain does not prove."""
    return None if reason is None else _SSL[reason]


def trust_reason(failure: Failure | None) -> TrustReason | None:
    """What a handshake of OONI's that failed for its certificate says of the chain."""
    return None if failure is None else _TRUST.get(failure)


# --- verdicts ----------------------------------------------------------------------------------

_BLOCKING: Mapping[str, Blocking] = MappingProxyType(
    {
        "dns": "dns",
        "tcp": "tcp_ip",
        "tls": "http-failure",
        "quic": "http-failure",
        "http": "http-failure",
    }
)
_OTHER_CONTENT = frozenset({"http.blockpage", "http.redirected", "http.injected"})


def verdict_keys(verdict: Verdict | None) -> tuple[bool | None, Blocking | Literal[False] | None]:
    """`accessible` and `blocking` of web_connectivity. None: not known."""
    match verdict.outcome if verdict else Outcome.INCONCLUSIVE:
        case Outcome.OK | Outcome.THROTTLED:
            return True, False
        case Outcome.DOWN | Outcome.REFUSED:
            return False, False
        case Outcome.INTERCEPTED:
            return False, "http-failure"
        case Outcome.BLOCKED if verdict:
            return False, _how(verdict)
    return None, None


def _how(verdict: Verdict) -> Blocking | None:
    """By the first mechanism of a layer that OONI knows; the first mechanism is what decided."""
    for mechanism in verdict.mechanisms:
        if mechanism in _OTHER_CONTENT:
            return "http-diff"
        found = _BLOCKING.get(mechanism.partition(".")[0])
        if found:
            return found
    return None
