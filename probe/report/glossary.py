"""Explanations of outcomes, mechanisms, failures and trust reasons for non-specialists.

One sentence for each word of the closed lists; a rule states its finding in its own sentence.
"""

from collections.abc import Mapping
from types import MappingProxyType

from probe.failure import Failure
from probe.model import Mechanism, Outcome, TrustReason

OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.OK: "works here as it does elsewhere",
        Outcome.BLOCKED: "is blocked by the network",
        Outcome.INTERCEPTED: "is intercepted with a forged certificate",
        Outcome.THROTTLED: "is deliberately slowed down",
        Outcome.REFUSED: "refused the request itself; the network is not the cause",
        Outcome.DOWN: "is down everywhere",
        Outcome.INCONCLUSIVE: "could not be judged",
    }
)

MECHANISMS: Mapping[Mechanism, str] = MappingProxyType(
    {
        Mechanism.DNS_NXDOMAIN: "The resolver answers that the name does not exist.",
        Mechanism.DNS_NODATA: "The resolver answers that the name has no address.",
        Mechanism.DNS_SERVFAIL: "The resolver answers with a failure for this name.",
        Mechanism.DNS_REFUSED: "The resolver refuses to answer for this name.",
        Mechanism.DNS_TIMEOUT: "The query for this name gets no answer.",
        Mechanism.DNS_BOGON: "The resolver returns an address that is not on the public internet.",
        Mechanism.DNS_WRONG_ADDRESS: "The resolver returns an address that is not the site's.",
        Mechanism.DNS_INJECTED: "A device on the path answers the query before the resolver does.",
        Mechanism.TCP_REFUSED: "The connection is refused on the path.",
        Mechanism.TCP_RESET: "The connection is reset while it is being opened.",
        Mechanism.TCP_TIMEOUT: "The connection gets no answer.",
        Mechanism.TCP_UNREACHABLE: "A router reports that the site is unreachable.",
        Mechanism.TLS_RESET: "The connection is reset after the site's name is sent.",
        Mechanism.TLS_TIMEOUT: "The connection gets no answer after the site's name is sent.",
        Mechanism.TLS_EOF: "The connection is closed after the site's name is sent.",
        Mechanism.TLS_ALERT: "A TLS alert rejects the connection after the site's name is sent.",
        Mechanism.TLS_MITM: "A forged certificate is served: its operator can read the traffic.",
        Mechanism.HTTP_RESET: "The connection is reset after the page is requested.",
        Mechanism.HTTP_TIMEOUT: "The request for the page gets no answer.",
        Mechanism.HTTP_EOF: "The connection is closed after the page is requested.",
        Mechanism.HTTP_BLOCKPAGE: "A block page is served instead of the site.",
        Mechanism.HTTP_REDIRECTED: "The browser is redirected to a page of another site.",
        Mechanism.HTTP_INJECTED: "The page was changed on the path.",
        Mechanism.QUIC_TIMEOUT: "QUIC (HTTP/3) gets no answer.",
        Mechanism.QUIC_REFUSED: "QUIC (HTTP/3) is refused on the path.",
        Mechanism.THROTTLE_POLICED: "Packets above a rate limit are dropped (policing).",
        Mechanism.THROTTLE_SHAPED: "Packets above a rate limit are delayed (shaping).",
        Mechanism.THROTTLE_SLOW: "It is selectively slower than other names.",
        Mechanism.THROTTLE_FROZEN: "The transfer starts and then stalls.",
        Mechanism.ACCESS_OFFLINE: "The connection was not working at all.",
        Mechanism.ACCESS_CAPTIVE_PORTAL: "A login page (captive portal) answers every request.",
        Mechanism.ACCESS_LOCAL_INTERCEPTOR: "A local product re-signs the certificates of sites.",
        Mechanism.ACCESS_WHITELIST: "Only an allowed list of sites works.",
        Mechanism.ACCESS_FOREIGN_CUT: "No site abroad can be reached.",
    }
)

FAILURES: Mapping[Failure, str] = MappingProxyType(
    {
        Failure.TIMEOUT: "no answer in time",
        Failure.INTERRUPTED: "interrupted",
        Failure.REFUSED: "refused",
        Failure.RESET: "connection reset",
        Failure.ABORTED: "aborted",
        Failure.EOF: "closed without an answer",
        Failure.HOST_UNREACHABLE: "host unreachable",
        Failure.NETWORK_UNREACHABLE: "network unreachable",
        Failure.NETWORK_DOWN: "the network of this machine is down",
        Failure.DNS_NXDOMAIN: "NXDOMAIN: the name does not exist",
        Failure.DNS_NO_ANSWER: "no address in the answer",
        Failure.DNS_REFUSED: "the resolver refused",
        Failure.DNS_SERVFAIL: "the resolver failed",
        Failure.DNS_MISBEHAVING: "the resolver misbehaved",
        Failure.DNS_TEMPORARY: "temporary resolver failure",
        Failure.DNS_NON_RECOVERABLE: "permanent resolver failure",
        Failure.DNS_WRONG_ID: "an answer with the wrong query ID",
        Failure.SSL_HANDSHAKE: "the handshake failed",
        Failure.SSL_HOSTNAME: "a certificate for another name",
        Failure.SSL_AUTHORITY: "a certificate of an unknown authority",
        Failure.SSL_CERTIFICATE: "an invalid certificate",
        Failure.QUIC_VERSION: "no common version",
        Failure.UNKNOWN: "unclassified failure",
    }
)

TRUST: Mapping[TrustReason, str] = MappingProxyType(
    {
        TrustReason.EMPTY: "no certificate was received",
        TrustReason.MALFORMED: "it cannot be read",
        TrustReason.SELF_SIGNED: "it is self-signed",
        TrustReason.UNKNOWN_AUTHORITY: "its issuer is unknown to browsers",
        TrustReason.INCOMPLETE: "its chain is incomplete",
        TrustReason.EXPIRED: "it has expired",
        TrustReason.NOT_YET_VALID: "it is not valid yet",
        TrustReason.HOSTNAME: "it is for another name",
        TrustReason.REJECTED: "it violates the rules for certificates",
    }
)


def seconds(value: float) -> str:
    """Format a duration, given in seconds."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} minutes" if value < 7200 else f"{value / 3600:.0f} hours"


def amount(value: float) -> str:
    """Format a number of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if value < 1000 or unit == "MB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return ""
