"""Outcomes, mechanisms and failures in words for people who do not measure networks for a living.

One word, one sentence. What a rule found is the rule's own sentence; this only says what the closed
lists mean.
"""

from collections.abc import Mapping
from types import MappingProxyType

from probe.failure import Failure
from probe.model import Mechanism, Outcome, TrustReason

OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.OK: "works here as it does elsewhere",
        Outcome.BLOCKED: "is stopped by the network in between",
        Outcome.INTERCEPTED: "is read by somebody in the middle, with a forged certificate",
        Outcome.THROTTLED: "is slowed down on purpose",
        Outcome.REFUSED: "turned us away by itself: this is not the network",
        Outcome.DOWN: "is broken for everybody",
        Outcome.INCONCLUSIVE: "could not be judged",
    }
)

MECHANISMS: Mapping[Mechanism, str] = MappingProxyType(
    {
        Mechanism.DNS_NXDOMAIN: "The resolver says that the name does not exist.",
        Mechanism.DNS_NODATA: "The resolver says that the name has no address.",
        Mechanism.DNS_SERVFAIL: "The resolver says that it cannot answer for this name.",
        Mechanism.DNS_REFUSED: "The resolver refuses to answer for this name.",
        Mechanism.DNS_TIMEOUT: "The question for this name gets no answer.",
        Mechanism.DNS_BOGON: "The resolver gives an address that cannot be on the internet.",
        Mechanism.DNS_WRONG_ADDRESS: "The resolver gives somebody else's address.",
        Mechanism.DNS_INJECTED: "Somebody else answers the question before the resolver does.",
        Mechanism.TCP_REFUSED: "The connection is refused on the way.",
        Mechanism.TCP_RESET: "The connection is torn down as it is made.",
        Mechanism.TCP_TIMEOUT: "The connection gets no answer.",
        Mechanism.TCP_UNREACHABLE: "A router says that there is no way to the site.",
        Mechanism.TLS_RESET: "The connection is torn down when it says the site's name.",
        Mechanism.TLS_TIMEOUT: "The connection goes silent when it says the site's name.",
        Mechanism.TLS_EOF: "The connection is closed when it says the site's name.",
        Mechanism.TLS_ALERT: "The connection is turned away when it says the site's name.",
        Mechanism.TLS_MITM: "A forged certificate is served: somebody can read the traffic.",
        Mechanism.HTTP_RESET: "The connection is torn down when the page is asked for.",
        Mechanism.HTTP_TIMEOUT: "The page is asked for and nothing comes.",
        Mechanism.HTTP_EOF: "The connection is closed when the page is asked for.",
        Mechanism.HTTP_BLOCKPAGE: "A page that says it is blocked comes instead.",
        Mechanism.HTTP_REDIRECTED: "The visitor is sent to somebody else's page.",
        Mechanism.HTTP_INJECTED: "Something was put into the page on its way.",
        Mechanism.QUIC_TIMEOUT: "QUIC (HTTP/3) gets no answer.",
        Mechanism.QUIC_REFUSED: "QUIC (HTTP/3) is refused on the way.",
        Mechanism.THROTTLE_POLICED: "Packets above a certain speed are thrown away.",
        Mechanism.THROTTLE_SHAPED: "Packets above a certain speed are held back.",
        Mechanism.THROTTLE_SLOW: "It is slower than others, and selectively.",
        Mechanism.THROTTLE_FROZEN: "It begins, and then stands still.",
        Mechanism.ACCESS_OFFLINE: "This line was not working at all.",
        Mechanism.ACCESS_CAPTIVE_PORTAL: "A login page answers for everything.",
        Mechanism.ACCESS_LOCAL_INTERCEPTOR: "A product on this machine or network re-signs sites.",
        Mechanism.ACCESS_WHITELIST: "Only a list of allowed sites works.",
        Mechanism.ACCESS_FOREIGN_CUT: "Nothing abroad can be reached.",
    }
)

FAILURES: Mapping[Failure, str] = MappingProxyType(
    {
        Failure.TIMEOUT: "no answer in time",
        Failure.INTERRUPTED: "interrupted",
        Failure.REFUSED: "refused",
        Failure.RESET: "torn down (reset)",
        Failure.ABORTED: "aborted",
        Failure.EOF: "closed without an answer",
        Failure.HOST_UNREACHABLE: "no way to the host",
        Failure.NETWORK_UNREACHABLE: "no way to the network",
        Failure.NETWORK_DOWN: "this machine's network is down",
        Failure.DNS_NXDOMAIN: "the name is said not to exist",
        Failure.DNS_NO_ANSWER: "no address in the answer",
        Failure.DNS_REFUSED: "the resolver refused",
        Failure.DNS_SERVFAIL: "the resolver failed",
        Failure.DNS_MISBEHAVING: "the resolver misbehaved",
        Failure.DNS_TEMPORARY: "the resolver failed for now",
        Failure.DNS_NON_RECOVERABLE: "the resolver failed for good",
        Failure.DNS_WRONG_ID: "an answer to another question",
        Failure.SSL_HANDSHAKE: "the handshake failed",
        Failure.SSL_HOSTNAME: "a certificate for another name",
        Failure.SSL_AUTHORITY: "a certificate nobody vouches for",
        Failure.SSL_CERTIFICATE: "a certificate that is not valid",
        Failure.QUIC_VERSION: "no common version",
        Failure.UNKNOWN: "failed in a way we have no word for",
    }
)

TRUST: Mapping[TrustReason, str] = MappingProxyType(
    {
        TrustReason.EMPTY: "no certificate came",
        TrustReason.MALFORMED: "it cannot be read",
        TrustReason.SELF_SIGNED: "it vouches for itself",
        TrustReason.UNKNOWN_AUTHORITY: "no browser knows who signed it",
        TrustReason.INCOMPLETE: "a link of its chain is missing",
        TrustReason.EXPIRED: "it has expired",
        TrustReason.NOT_YET_VALID: "it is not valid yet",
        TrustReason.HOSTNAME: "it is for another name",
        TrustReason.REJECTED: "it breaks the rules for certificates",
    }
)


def seconds(value: float) -> str:
    """A duration a person can read."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} minutes" if value < 7200 else f"{value / 3600:.0f} hours"


def amount(value: float) -> str:
    """A number of bytes a person can read."""
    for unit in ("bytes", "kB", "MB"):
        if value < 1000 or unit == "MB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return ""
