"""Where a `Location` leads: what browsers do with what servers write."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st

from probe.compare import host_of, port_of
from probe.net.hello import is_offerable
from probe.redirects import redirect_target

BASE = "http://site.example/a/b?x=1"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        # Raw bytes, in whichever encoding.
        ("/путь?q=я".encode(), "http://site.example/%D0%BF%D1%83%D1%82%D1%8C?q=%D1%8F"),
        ("/стоп".encode("cp1251"), "http://site.example/%F1%F2%EE%EF"),
        (b"/caf\xe9", "http://site.example/caf%E9"),
        (b"/a b", "http://site.example/a%20b"),
        (b"/%zz", "http://site.example/%zz"),
        (b" /x ", "http://site.example/x"),
        # Relative ones.
        (b"//other.example", "http://other.example/"),
        (b"\\\\other.example\\p", "http://other.example/p"),
        (b"http:/x", "http://site.example/x"),
        (b"http:x", "http://site.example/a/x"),
        (b"https:/other.example", "https://other.example/"),
        (b"https:other.example/p", "https://other.example/p"),
        (b"../../z", "http://site.example/z"),
        (b"./.", "http://site.example/a/"),
        (b"?y", "http://site.example/a/b?y"),
        (b"c/%2e%2E/d", "http://site.example/a/d"),
        # Hosts.
        ("http://заблокировано.рф/".encode(), "http://xn--80aacewinhwfcdv.xn--p1ai/"),
        (b"http://%D0%BF.example/", "http://xn--o1a.example/"),
        ("http://☕.example/".encode(), "http://xn--53h.example/"),
        (b"http://-edge-.example/", "http://-edge-.example/"),
        (b"http://a_b.EXAMPLE", "http://a_b.example/"),
        (b"http://site.example.", "http://site.example/"),
        (b"http://0x7f.1/", "http://127.0.0.1/"),
        (b"http://[::1]:8080/", "http://[::1]:8080/"),
        (b"http://user:word@other.example:8080/", "http://other.example:8080/"),
        (b"http://other.example:/", "http://other.example/"),
        (b"HTTPS://other.example:443/#top", "https://other.example/"),
        # Another program's.
        (b"tg://resolve?domain=x", "tg://resolve?domain=x"),
    ],
)
def test_what_browsers_follow(location: bytes, expected: str) -> None:
    assert redirect_target(BASE, location) == expected


@pytest.mark.parametrize(
    "location",
    [
        b"",
        b" ",
        b"http://",
        b"http://other.example:99999/",
        b"http://other.example:8 0/",
        b"http://other.example:0/",
        b"http://other.example:25/",
        b"http://[::1",
        b"http://[fe80::1%25eth0]/",
        b"http://a..b/",
        b"http://ho st/",
        b"http://1.2.3.4.5/",
        b"http://" + b"a" * 64 + b".example/",
        b"http://\xff\xfe.example/",
        "http://стоп.example/".encode("cp1251"),
        b"/" + b"a" * 9000,
    ],
)
def test_what_no_browser_can_request(location: bytes) -> None:
    assert redirect_target(BASE, location) is None


@given(
    st.one_of(
        st.binary(max_size=80),
        st.tuples(
            st.sampled_from([b"http://", b"//", b"https:", b"http:\\\\", b"", b"http://[", b"/"]),
            st.binary(max_size=40),
            st.sampled_from([b"", b":80", b":99999", b".example/", b"]", b"/..", b"?"]),
        ).map(b"".join),
        st.text(max_size=40).map(lambda text: b"http://" + text.encode("utf-8", "surrogatepass")),
    )
)
def test_whatever_comes_can_be_requested_or_is_none(location: bytes) -> None:
    url = redirect_target(BASE, location)
    if url is None:
        return
    assert url.isascii()
    if not url.startswith(("http://", "https://")):
        return
    assert port_of(url)
    assert host_of(url)
    assert ":" in host_of(url) or is_offerable(host_of(url))
    assert " " not in url
    assert urlsplit(url).path.startswith("/")
    assert redirect_target(BASE, url.encode()) == url
