"""Names are shown as people write them, unless they could pass for another name."""

# ruff: noqa: RUF001 - letters that look alike are what is tested

import pytest

from probe.report.names import answers_to, shown_host, shown_url, spellings
from probe.urls import ascii_host


@pytest.mark.parametrize(
    "host",
    [
        "яндекс.рф",
        "президент.рф",
        "қаз.қаз",
        "москва.com",
        "bücher.de",
        "例え.テスト",
        "хе.рф",
        "example.com",
    ],
)
def test_names_of_one_script_are_decoded(host: str) -> None:
    assert shown_host(ascii_host(host)) == host


@pytest.mark.parametrize(
    "host",
    [
        "pаypal.com",  # its second letter is Cyrillic
        "аррӏе.com",  # every letter is Cyrillic and looks Latin
        "хе-1.com",
        "ģοοgle.com",  # Greek among Latin
        "ɡoogle.com",  # a phonetic sign
        "kıtap.com",  # dotless i
        "אבג.example",
        "e\u0323xample.com",
    ],
)
def test_names_that_imitate_others_stay_in_ascii(host: str) -> None:
    ascii_name = ascii_host(host)
    assert ascii_name.startswith("xn--")
    assert shown_host(ascii_name) == ascii_name


@pytest.mark.parametrize(
    "host", ["xn--", "xn--zzzzzz99999", "xn--a", "a.xn--" + "9" * 60, "xn--a-.b", "XN--\x1b"]
)
def test_labels_that_cannot_be_decoded_stay(host: str) -> None:
    assert shown_host(host) == host


def test_a_url_keeps_its_path_and_port() -> None:
    ascii_url = "http://xn--d1acpjx3f.xn--p1ai:8080/xn--d1acpjx3f?a"
    assert shown_url(ascii_url) == "http://яндекс.рф:8080/xn--d1acpjx3f?a"
    assert shown_url("service:xn--d1acpjx3f") == "service:xn--d1acpjx3f"


@pytest.mark.parametrize(
    "typed",
    [
        "http://яндекс.рф/",
        "http://яндекс.рф",
        "яндекс.рф",
        "ЯНДЕКС.РФ",
        "яндекс.рф/",
        "xn--d1acpjx3f.xn--p1ai",
        "HTTP://XN--D1ACPJX3F.xn--p1ai",
    ],
)
def test_a_target_is_found_by_every_spelling(typed: str) -> None:
    assert answers_to("http://xn--d1acpjx3f.xn--p1ai/", spellings(typed))
    assert not answers_to("http://xn--d1acpjx3f.com/", spellings(typed))


def test_a_service_is_found_by_its_name() -> None:
    assert answers_to("service:telegram", spellings("telegram"))
    assert not answers_to("", spellings(""))
    assert not answers_to("http://[", spellings("x"))
