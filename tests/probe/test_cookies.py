import pytest
from hypothesis import given, strategies as st

from probe.cookies import CookieJar

URL = "http://www.site.example/a/b"


def sent(header: str, to: str = URL) -> bytes:
    jar = CookieJar()
    jar.take(URL, header.encode())
    return jar.header(to)


@pytest.mark.parametrize(
    ("header", "to", "expected"),
    [
        ("id=1", URL, b"id=1"),
        ("id=1; Path=/", "https://www.site.example/", b"id=1"),
        ("id=1", "http://www.site.example/", b""),
        ("id=1; Path=/; Secure", "http://www.site.example/", b""),
        ("id=1; Path=/; Domain=.site.example", "http://site.example/", b"id=1"),
        ("id=1; Path=/", "http://site.example/", b""),
        ("id=1; Domain=example", URL, b""),
        ("id=1; Domain=other.example", URL, b""),
        ("id=1; Max-Age=0", URL, b""),
        ("id=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", URL, b""),
        ("nothing", URL, b""),
        ("=x", URL, b""),
        ("id=1\r\nHost: x", URL, b""),
    ],
)
def test_cookies_go_where_a_browser_sends_them(header: str, to: str, expected: bytes) -> None:
    assert sent(header, to) == expected


def test_a_cookie_can_be_replaced_and_deleted() -> None:
    jar = CookieJar()
    for header in (b"a=1", b"b=1", b"a=2", b"b=; Max-Age=-1"):
        jar.take(URL, header)
    assert jar.header(URL) == b"a=2"


def test_the_number_is_limited() -> None:
    jar = CookieJar()
    for number in range(1000):
        jar.take(URL, b"c%d=1" % number)
    assert jar.header(URL).count(b"=") == 50


@given(st.lists(st.binary(max_size=60)))
def test_whatever_comes_fits_into_a_header(headers: list[bytes]) -> None:
    jar = CookieJar()
    for header in headers:
        jar.take(URL, header)
    value = jar.header(URL)
    assert not set(value) & {0, 10, 13}
