"""Where nothing can be traced, one line says why."""

import pytest

from probe.errors import Exit, UserError
from probe.failure import Failure
from probe.model import Dns, Reply, Role, Steps, Tls
from probe.runner.single_trace import _check_sent

URL = "https://site.example/"


def asked(*addresses: str, failure: Failure | None = None) -> Dns:
    replies = (Reply(at=0.1, rcode=0, answers=addresses),) if addresses else ()
    return Dns(name="site.example", resolver="system", failure=failure, replies=replies)


@pytest.mark.parametrize(
    ("steps", "said", "code"),
    [
        ((asked(failure=Failure.DNS_NXDOMAIN),), "dns_nxdomain_error", Exit.USAGE),
        ((asked("10.0.0.1"), asked("10.0.0.1")), "no public IPv4 address among 10.0.0.1", 2),
        ((asked("2001:db8::1"),), "no public IPv4 address among 2001:db8::1", Exit.USAGE),
        ((asked(failure=Failure.TIMEOUT),) * 3, "is this machine online?", Exit.OFFLINE),
        (
            (asked(failure=Failure.TIMEOUT), asked(failure=Failure.NETWORK_UNREACHABLE)),
            "is this machine online?",
            Exit.OFFLINE,
        ),
    ],
)
def test_what_cannot_be_traced_is_one_line_and_an_exit_code(
    steps: Steps, said: str, code: int
) -> None:
    with pytest.raises(UserError) as raised:
        _check_sent(URL, steps)
    assert said in str(raised.value)
    assert str(raised.value).startswith("site.example: ")
    assert raised.value.code == code


def test_where_the_harmless_name_was_offered_there_is_a_record() -> None:
    offer = Tls(address="203.0.113.7", port=443, role=Role.HARMLESS, failure=Failure.TIMEOUT)
    _check_sent(URL, (asked("203.0.113.7"), offer))  # does not raise
