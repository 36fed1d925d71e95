import pytest
from hypothesis import given, strategies as st

from probe.client.endpoint import EndpointError, parse


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://collector.example/", "https://collector.example"),
        ("https://Collector.Example:443", "https://collector.example"),
        ("https://192.0.2.7:8443/qaz/", "https://192.0.2.7:8443/qaz"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://көмек.example", "https://xn--e1ajbg87f.example"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
    ],
)
def test_one_collector_has_one_name(text: str, url: str) -> None:
    assert parse(text).url == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("collector.example", "expected https"),
        ("ftp://collector.example", "expected https"),
        ("https://", "expected https"),
        ("https://a:b@collector.example", "user name"),
        ("https://collector.example/?x", "query"),
        ("https://collector.example:99999", "not a URL"),
        ("http://collector.example", "use https"),
        ("http://localhost.example", "use https"),
        ("https://collector.example#pin=12", "64 hex"),
    ],
)
def test_what_cannot_be_a_collector_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(EndpointError, match=reason) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_a_laboratory_may_use_plain_http_and_a_pin_goes_with_the_url() -> None:
    assert parse("http://192.0.2.7:80", lab=True).url == "http://192.0.2.7"
    assert parse("https://192.0.2.7#pin=" + "AB" * 32).pin == "ab" * 32


@given(st.text())
def test_any_text_is_an_endpoint_or_an_endpoint_error(text: str) -> None:
    try:
        endpoint = parse("https://" + text)
    except EndpointError:
        return
    assert endpoint.url.startswith("https://")
    assert endpoint.host
    assert 0 < endpoint.port < 65536
