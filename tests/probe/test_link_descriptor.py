"""OONI Run link descriptors as target lists. The descriptors here are of this project's making."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from probe import link_descriptor, targets
from probe.targets import Target
from probe.urls import TargetError

DESCRIPTOR = {
    "name": "Elections",
    "short_description": "Sites about elections",
    "author": "somebody@example.org",
    "oonirun_link_id": "10158",
    "revision": "3",
    "is_expired": False,
    "nettests": [
        {
            "test_name": "web_connectivity",
            "inputs": ["https://a.example/", "http://b.example/x", "javascript:alert(1)"],
            "inputs_extra": [{"category_code": "NEWS"}, {"category_code": "HUMR", "more": [1]}],
            "is_background_run_enabled": True,
        },
        {"test_name": "telegram"},
        {"test_name": "openvpn", "inputs": ["openvpn://p/?address=192.0.2.1:1194"]},
        {"test_name": "web_connectivity", "targets_name": "websites_list_prioritized"},
    ],
}


def parse(value: object, *, indent: int | None = None) -> targets.Loaded:
    return targets.parse_bytes(json.dumps(value, indent=indent).encode(), "run.json")


def test_addresses_are_targets_and_the_rest_is_named() -> None:
    found, problems = parse(DESCRIPTOR)
    assert [(one.url, one.category) for one in found] == [
        ("https://a.example/", "NEWS"),
        ("http://b.example/x", "HUMR"),
    ]
    messages = [one.message for one in problems]
    assert len(messages) == 4
    assert "javascript" in messages[0]
    assert messages[1:] == [
        "telegram: has no addresses; it is measured with -e telegram",
        "'openvpn': nothing here measures the same",
        "a list that the server makes for each run; no addresses are in the file",
    ]


def test_lines_are_those_of_the_file() -> None:
    text = json.dumps(DESCRIPTOR, indent=1).replace("http://b.example/x", r"http:\/\/b.example\/x")
    lines = text.split("\n")
    found, problems = targets.parse_bytes(text.encode(), "run.json")
    assert "a.example" in lines[found[0].line - 1]
    assert "b.example" in lines[found[1].line - 1]
    assert "javascript" in lines[problems[0].line - 1]
    assert "telegram" in lines[problems[1].line - 1]


def test_what_is_written_is_read_again() -> None:
    wanted = [("https://a.example/", "NEWS"), ("https://b.example/", "")]
    made = link_descriptor.written(wanted, "Mine")
    assert json.loads(made)["name"] == "Mine"
    found, problems = targets.parse_bytes(made, "run.json")
    assert [(one.url, one.category or "") for one in found] == wanted
    assert problems == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"name": "x"}, "no OONI Run descriptor: Object missing required field `nettests`"),
        ({"nettests": [{"inputs": []}]}, "missing required field `test_name`"),
        ({"nettests": [{"test_name": "web_connectivity", "inputs": [1]}]}, "Expected `str`"),
        ({**DESCRIPTOR, "is_expired": True}, "run.json: this OONI Run link has expired"),
    ],
)
def test_other_json_is_refused_in_one_line(value: object, said: str) -> None:
    with pytest.raises(TargetError) as error:
        parse(value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "body", [b"{", b"{" * 10_000, b'{"nettests":' + b"[" * 10_000, b"\xef\xbb\xbf{}"]
)
def test_broken_json_is_one_error(body: bytes) -> None:
    with pytest.raises(TargetError, match="no OONI Run descriptor"):
        targets.parse_bytes(body, "run.json")


def test_private_hosts_are_no_targets() -> None:
    value = {"nettests": [{"test_name": "web_connectivity", "inputs": ["http://192.168.1.1/"]}]}
    found, problems = parse(value)
    assert found == ()
    assert len(problems) == 1


def test_addresses_that_are_written_otherwise_have_the_line_before() -> None:
    url = rb'"https:\u002f\u002fa.example/"'
    body = b'{"nettests":[{"test_name":"web_connectivity","inputs":[' + url + b"]}]}"
    found, _problems = targets.parse_bytes(body, "run.json")
    assert [(one.url, one.line) for one in found] == [("https://a.example/", 1)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["nettests", "test_name", "inputs", "inputs_extra", "is_expired"])
                | st.text(max_size=5),
                inner,
                max_size=5,
            )
        ),
        max_leaves=30,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_json_gives_targets_problems_or_one_error(value: object) -> None:
    body = json.dumps({"nettests": [{"test_name": "web_connectivity", "inputs": value}, value]})
    for data in (body, json.dumps(value)):
        try:
            found, problems = targets.parse_bytes(data.encode(), "run.json")
        except TargetError:
            continue
        assert all(isinstance(one, Target) for one in found)
        assert all("\n" not in str(one) for one in problems)
