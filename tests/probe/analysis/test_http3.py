import pytest

from probe.analysis.http3 import alternative, offered
from probe.model import Dns, Reply
from tests.build import HOST, OTHER, page


@pytest.mark.parametrize(
    ("value", "port"),
    [
        ('h3=":443"; ma=86400', 443),
        ('h3-29=":443", h3=":8443"; ma=1', 8443),
        (f'h2=":443", h3="{HOST}:443"', 443),
        ('h3="elsewhere.example:443"', None),
        ('h3-29=":443"', None),
        ('h3=":0"', None),
        ('h3=":99999"', None),
        ("clear", None),
        ("", None),
    ],
)
def test_alt_svc_names_a_port_of_the_same_host(value: str, port: int | None) -> None:
    assert alternative(value, HOST) == port


def https(*alpn: str) -> Dns:
    return Dns(
        name=HOST, resolver="system", type="HTTPS", replies=(Reply(at=0.1, rcode=0, alpn=alpn),)
    )


def test_a_record_or_a_proven_page_offers() -> None:
    advertised = page(headers={"alt-svc": 'h3=":443"'})
    assert offered(HOST, [https("h3", "h2")]) == 443
    assert offered(HOST, [https("h2"), advertised]) == 443
    assert offered("other.example", [https("h3"), advertised]) is None


def test_only_the_site_s_own_page_shows_that_there_is_none() -> None:
    assert offered(HOST, [https(), page()]) == 0
    assert offered(HOST, [https()]) is None
    assert offered(HOST, [page(address=OTHER, proven=False)]) is None
    forged = page(proven=False, headers={"alt-svc": 'h3=":443"'})
    assert offered(HOST, [forged]) is None
