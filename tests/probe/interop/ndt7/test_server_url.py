import pytest

from probe.interop.ndt7.server_url import Ndt7Url, Ndt7UrlError, parse


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        ("ndt7://speed.example", Ndt7Url("speed.example", 443), "speed.example"),
        ("ndt7://Speed.Example.:4443/", Ndt7Url("speed.example", 4443), "speed.example:4443"),
        ("ndt7://[2001:db8::1]:80", Ndt7Url("2001:db8::1", 80), "[2001:db8::1]:80"),
        (
            "ndt7://192.0.2.1/?access_token=a.b#pin=" + "AB" * 32,
            Ndt7Url("192.0.2.1", 443, "?access_token=a.b", "ab" * 32),
            "192.0.2.1",
        ),
    ],
)
def test_a_server_is_read(text: str, url: Ndt7Url, authority: str) -> None:
    assert parse(text) == url
    assert parse(text).authority == authority
    assert not parse(text).publishes_addresses


@pytest.mark.parametrize(
    "text",
    [
        "speed.example",
        "wss://speed.example",
        "ndt7+ws://speed.example",
        "ndt7://",
        "ndt7://a@speed.example",
        "ndt7://speed.example:99999",
        "ndt7://speed.example/ndt/v7/download",
        "ndt7://speed.example#pin=12",
        "ndt7://speed.example/?a=b c",
        "ndt7://speed.example/?a=" + "b" * 5000,
        "ndt7://a b/",
    ],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(Ndt7UrlError, match="expected ndt7://"):
        parse(text)


@pytest.mark.parametrize(
    "host",
    [
        "locate.measurementlab.net",
        "ndt-mlab1-ham02.mlab-oti.measurement-lab.org",
        "NDT.MeasurementLab.NET.",
        "measurement-lab.org",
    ],
)
def test_a_server_of_measurement_lab_is_known(host: str) -> None:
    assert parse(f"ndt7://{host}").publishes_addresses
    assert not parse(f"ndt7://{host.rstrip('.')}.example").publishes_addresses
