"""The closed list of ways one network operation can fail.

The words are OONI's (data format df-007) where OONI has one, so that a reader of both data sets
needs one vocabulary. A failure is made only where exceptions become data (`probe/net/attempt.py`).
More detail goes into a *field* of the step (alert, rcode, errno, bytes_in), never into a new word.
"""

from enum import StrEnum, unique


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
    def is_timeout(self) -> bool:
        """Nothing came within the time that was given."""
        return self is Failure.TIMEOUT

    @property
    def is_unreachable(self) -> bool:
        """The machine or a router said that there is no way there."""
        return self in _UNREACHABLE


_UNREACHABLE = frozenset(
    {Failure.HOST_UNREACHABLE, Failure.NETWORK_UNREACHABLE, Failure.NETWORK_DOWN}
)
