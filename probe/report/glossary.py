"""Explanations of outcomes, mechanisms, failures and trust reasons for non-specialists.

One sentence for each word of the closed lists; a rule states its finding in its own sentence. The
texts are marked for translation; the reader of a text translates it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from probe.failure import Failure
from probe.i18n import N_, _, ngettext
from probe.model import Mechanism, Outcome, Stage, TrustReason

# The word for an outcome in tables.
WORDS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.OK: N_("ok"),
        Outcome.BLOCKED: N_("blocked"),
        Outcome.INTERCEPTED: N_("intercepted"),
        Outcome.THROTTLED: N_("throttled"),
        Outcome.REFUSED: N_("refused"),
        Outcome.DOWN: N_("down"),
        Outcome.INCONCLUSIVE: N_("inconclusive"),
    }
)
# Marks that tell outcomes apart without colours.
MARKS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.OK: "  ",
        Outcome.BLOCKED: "XX",
        Outcome.INTERCEPTED: "!!",
        Outcome.THROTTLED: "~~",
        Outcome.REFUSED: "--",
        Outcome.DOWN: "--",
        Outcome.INCONCLUSIVE: "??",
    }
)

OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.OK: N_("works here as it does elsewhere"),
        Outcome.BLOCKED: N_("is blocked by the network"),
        Outcome.INTERCEPTED: N_("is intercepted with a forged certificate"),
        Outcome.THROTTLED: N_("is deliberately slowed down"),
        Outcome.REFUSED: N_("refused the request itself; the network is not the cause"),
        Outcome.DOWN: N_("is down everywhere"),
        Outcome.INCONCLUSIVE: N_("could not be judged"),
    }
)

# How often interference was seen; said of interference only.
STAGES: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.SUSPECTED: N_("seen in one run so far"),
        Stage.CONFIRMED: N_("seen again in a later run"),
    }
)

MECHANISMS: Mapping[Mechanism, str] = MappingProxyType(
    {
        Mechanism.DNS_NXDOMAIN: N_("The resolver answers that the name does not exist."),
        Mechanism.DNS_NODATA: N_("The resolver answers that the name has no address."),
        Mechanism.DNS_SERVFAIL: N_("The resolver answers with a failure for this name."),
        Mechanism.DNS_REFUSED: N_("The resolver refuses to answer for this name."),
        Mechanism.DNS_TIMEOUT: N_("The query for this name gets no answer."),
        Mechanism.DNS_BOGON: N_(
            "The resolver returns an address that is not on the public internet."
        ),
        Mechanism.DNS_WRONG_ADDRESS: N_("The resolver returns an address that is not the site's."),
        Mechanism.DNS_INJECTED: N_(
            "A device on the path answers the query before the resolver does."
        ),
        Mechanism.TCP_REFUSED: N_("The connection is refused on the path."),
        Mechanism.TCP_RESET: N_("The connection is reset while it is being opened."),
        Mechanism.TCP_TIMEOUT: N_("The connection gets no answer."),
        Mechanism.TCP_UNREACHABLE: N_("A router reports that the site is unreachable."),
        Mechanism.TLS_RESET: N_("The connection is reset after the site's name is sent."),
        Mechanism.TLS_TIMEOUT: N_("The connection gets no answer after the site's name is sent."),
        Mechanism.TLS_EOF: N_("The connection is closed after the site's name is sent."),
        Mechanism.TLS_ALERT: N_(
            "A TLS alert rejects the connection after the site's name is sent."
        ),
        Mechanism.TLS_MITM: N_(
            "A forged certificate is served: its operator can read the traffic."
        ),
        Mechanism.HTTP_RESET: N_("The connection is reset after the page is requested."),
        Mechanism.HTTP_TIMEOUT: N_("The request for the page gets no answer."),
        Mechanism.HTTP_EOF: N_("The connection is closed after the page is requested."),
        Mechanism.HTTP_BLOCKPAGE: N_("A block page is served instead of the site."),
        Mechanism.HTTP_REDIRECTED: N_("The browser is redirected to a page of another site."),
        Mechanism.HTTP_INJECTED: N_("The page was changed on the path."),
        Mechanism.QUIC_TIMEOUT: N_("QUIC (HTTP/3) gets no answer."),
        Mechanism.QUIC_REFUSED: N_("QUIC (HTTP/3) is refused on the path."),
        Mechanism.THROTTLE_POLICED: N_("Packets above a rate limit are dropped (policing)."),
        Mechanism.THROTTLE_SHAPED: N_("Packets above a rate limit are delayed (shaping)."),
        Mechanism.THROTTLE_SLOW: N_("It is selectively slower than other names."),
        Mechanism.THROTTLE_FROZEN: N_("The transfer starts and then stalls."),
        Mechanism.ACCESS_OFFLINE: N_("The connection was not working at all."),
        Mechanism.ACCESS_CAPTIVE_PORTAL: N_("A login page (captive portal) answers every request."),
        Mechanism.ACCESS_LOCAL_INTERCEPTOR: N_(
            "A local product re-signs the certificates of sites."
        ),
        Mechanism.ACCESS_WHITELIST: N_("Only an allowed list of sites works."),
        Mechanism.ACCESS_FOREIGN_CUT: N_("No site abroad can be reached."),
    }
)

FAILURES: Mapping[Failure, str] = MappingProxyType(
    {
        Failure.TIMEOUT: N_("no answer in time"),
        Failure.INTERRUPTED: N_("interrupted"),
        Failure.REFUSED: N_("refused"),
        Failure.RESET: N_("connection reset"),
        Failure.ABORTED: N_("aborted"),
        Failure.EOF: N_("closed without an answer"),
        Failure.HOST_UNREACHABLE: N_("host unreachable"),
        Failure.NETWORK_UNREACHABLE: N_("network unreachable"),
        Failure.NETWORK_DOWN: N_("the network of this machine is down"),
        Failure.DNS_NXDOMAIN: N_("NXDOMAIN: the name does not exist"),
        Failure.DNS_NO_ANSWER: N_("no address in the answer"),
        Failure.DNS_REFUSED: N_("the resolver refused"),
        Failure.DNS_SERVFAIL: N_("the resolver failed"),
        Failure.DNS_MISBEHAVING: N_("the resolver misbehaved"),
        Failure.DNS_TEMPORARY: N_("temporary resolver failure"),
        Failure.DNS_NON_RECOVERABLE: N_("permanent resolver failure"),
        Failure.DNS_WRONG_ID: N_("an answer with the wrong query ID"),
        Failure.SSL_HANDSHAKE: N_("the handshake failed"),
        Failure.SSL_HOSTNAME: N_("a certificate for another name"),
        Failure.SSL_AUTHORITY: N_("a certificate of an unknown authority"),
        Failure.SSL_CERTIFICATE: N_("an invalid certificate"),
        Failure.QUIC_VERSION: N_("no common version"),
        Failure.UNKNOWN: N_("unclassified failure"),
    }
)

TRUST: Mapping[TrustReason, str] = MappingProxyType(
    {
        TrustReason.EMPTY: N_("no certificate was received"),
        TrustReason.MALFORMED: N_("it cannot be read"),
        TrustReason.SELF_SIGNED: N_("it is self-signed"),
        TrustReason.UNKNOWN_AUTHORITY: N_("its issuer is unknown to browsers"),
        TrustReason.INCOMPLETE: N_("its chain is incomplete"),
        TrustReason.EXPIRED: N_("it has expired"),
        TrustReason.NOT_YET_VALID: N_("it is not valid yet"),
        TrustReason.HOSTNAME: N_("it is for another name"),
        TrustReason.REJECTED: N_("it violates the rules for certificates"),
    }
)


def word(outcome: Outcome) -> str:
    """Return the word for an outcome, in the user's language."""
    return _(WORDS[outcome])


def counted(number: int, outcome: Outcome) -> str:
    """Return `2 blocked`, as the user's language counts."""
    return _("{number} {outcome}").format(number=number, outcome=word(outcome))


def seconds(value: float) -> str:
    """Format a duration, given in seconds."""
    if value < 1:
        return _("{number} ms").format(number=f"{value * 1000:.0f}")
    if value < 120:
        return _("{number} s").format(number=f"{value:.1f}")
    if value < 7200:
        minutes = round(value / 60)
        return ngettext("{number} minute", "{number} minutes", minutes).format(number=minutes)
    hours = round(value / 3600)
    return ngettext("{number} hour", "{number} hours", hours).format(number=hours)


def amount(value: float) -> str:
    """Format a number of bytes."""
    if value < 1000:
        number = round(value)
        return ngettext("{number} byte", "{number} bytes", number).format(number=number)
    if value < 1_000_000:
        return _("{number} kB").format(number=f"{value / 1000:.1f}")
    return _("{number} MB").format(number=f"{value / 1_000_000:.1f}")
