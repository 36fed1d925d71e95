"""The closed list of ways one network operation can fail.

The words are OONI's (data format df-007) where OONI has one, so that both data sets share one
vocabulary. A failure is made only where exceptions become data (`probe/net/attempt.py`). More
detail goes into a field of the step (alert, rcode, errno, bytes_in), never into a new word.
"""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType


@unique
class Failure(StrEnum):
    """How one network operation failed, in OONI's words (df-007)."""

    TIMEOUT = "generic_timeout_error"
    INTERRUPTED = "interrupted"

    REFUSED = "connection_refused"
    RESET = "connection_reset"
    ABORTED = "connection_aborted"
    EOF = "eof_error"
    HOST_UNREACHABLE = "host_unreachable"
    NETWORK_UNREACHABLE = "network_unreachable"
    NETWORK_DOWN = "network_down"

    DNS_NXDOMAIN = "dns_nxdomain_error"
    DNS_NO_ANSWER = "dns_no_answer"
    DNS_REFUSED = "dns_refused_error"
    DNS_SERVFAIL = "dns_servfail_error"
    DNS_MISBEHAVING = "dns_server_misbehaving"
    DNS_TEMPORARY = "dns_temporary_failure"
    DNS_NON_RECOVERABLE = "dns_non_recoverable_failure"
    DNS_WRONG_ID = "dns_reply_with_wrong_query_id"

    SSL_HANDSHAKE = "ssl_failed_handshake"
    SSL_HOSTNAME = "ssl_invalid_hostname"
    SSL_AUTHORITY = "ssl_unknown_authority"
    SSL_CERTIFICATE = "ssl_invalid_certificate"

    QUIC_VERSION = "quic_incompatible_version"

    UNKNOWN = "unknown_failure"

    @property
    def is_unreachable(self) -> bool:
        """Whether this machine or a router reported that there is no route."""
        return self in _UNREACHABLE


_UNREACHABLE = frozenset(
    {Failure.HOST_UNREACHABLE, Failure.NETWORK_UNREACHABLE, Failure.NETWORK_DOWN}
)

MEANINGS: Mapping[Failure, str] = MappingProxyType(
    {
        Failure.TIMEOUT: "no answer within the timeout (`limit`)",
        Failure.INTERRUPTED: "the probe stopped it: the run ended or its byte budget was used up",
        Failure.REFUSED: "connection refused: RST in answer to SYN",
        Failure.RESET: "connection reset: RST on an established connection",
        Failure.ABORTED: "the local operating system aborted the connection",
        Failure.EOF: "the peer closed (FIN) before its answer was complete",
        Failure.HOST_UNREACHABLE: "host unreachable, as reported by a router or this machine",
        Failure.NETWORK_UNREACHABLE: "no route, as reported by a router or this machine",
        Failure.NETWORK_DOWN: "this machine's network is down",
        Failure.DNS_NXDOMAIN: "the answer was that the name does not exist (rcode 3)",
        Failure.DNS_NO_ANSWER: "the answer had no record of the requested type",
        Failure.DNS_REFUSED: "the resolver refused to answer (rcode 5)",
        Failure.DNS_SERVFAIL: "the resolver reported a server failure (rcode 2)",
        Failure.DNS_MISBEHAVING: "the reply was no valid answer",
        Failure.DNS_TEMPORARY: "the resolver could not answer at the moment",
        Failure.DNS_NON_RECOVERABLE: "the query could not be built or sent",
        Failure.DNS_WRONG_ID: "only replies with another query id were received",
        Failure.SSL_HANDSHAKE: "TLS ended in an alert or a protocol error (see `alert`)",
        Failure.SSL_HOSTNAME: "the certificate is not for this name",
        Failure.SSL_AUTHORITY: "the certificate chain leads to no Mozilla root",
        Failure.SSL_CERTIFICATE: "the certificate is invalid for another reason, such as its dates",
        Failure.QUIC_VERSION: "the server supports none of the QUIC versions offered",
        Failure.UNKNOWN: "a failure without a word of its own; `detail` has more, scrubbed",
    }
)
