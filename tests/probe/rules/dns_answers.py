"""Answers of resolvers, for the tests of rules on names."""

from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Dns, Edns, ExtendedError, Line, TrustReason
from tests.build import SINK, VALID, again, dns, doh

LINE = Line(alive_before=True, alive_after=True, references=4, trusted_names=3)
HONEST = replace(LINE, nxdomain_answered=False)
SELLS = replace(LINE, nxdomain_answered=True, nxdomain_addresses=(SINK,))
NOT_IT = replace(VALID, valid=False, reason=TrustReason.HOSTNAME, named=False, leaf_key="theirs")
DEAD = doh(failure=Failure.DNS_NXDOMAIN, rcode=3)
DEAD_TOO = replace(DEAD, resolver="9.9.9.9")
NODATA = dns(failure=Failure.DNS_NO_ANSWER)
NODATA6 = replace(NODATA, type="AAAA")
SERVFAIL = dns(failure=Failure.DNS_SERVFAIL, rcode=2)
REFUSED = dns(failure=Failure.DNS_REFUSED, rcode=5)
UNSPECIFIED = dns("0.0.0.0")


def saying(step: Dns, code: int, text: str = "") -> Dns:
    """The same query, whose reply carries an Extended DNS Error."""
    edns = Edns(errors=(ExtendedError(code=code, text=text),))
    return replace(step, replies=tuple(replace(r, edns=edns) for r in step.replies))


def nearby(step: Dns) -> Dns:
    return replace(step, nearby=True)


def twice(*steps: object) -> tuple:  # type: ignore[type-arg]
    return (*steps, *again(*steps))  # type: ignore[arg-type]
