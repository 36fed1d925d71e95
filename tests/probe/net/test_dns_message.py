"""DNS messages: the same result as dnspython's, and no exception for any bytes."""

import struct

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from probe.net import dns_wire
from probe.net.dns_message import Message, encode_name, parse
from probe.net.dns_usual import query, read_usual
from probe.net.dns_wire import read as read_wire, read_any

NAME = "site.example"


def reply(*records: tuple[str, str, str], rcode: int = 0) -> bytes:
    message = dns.message.make_response(dns.message.make_query(NAME, "A", id=7))
    message.set_rcode(dns.rcode.Rcode(rcode))
    for owner, kind, text in records:
        message.answer.append(dns.rrset.from_text(f"{owner.rstrip('.')}.", 300, "IN", kind, text))
    return message.to_wire()


def read(wire: bytes) -> Message:
    """Read by both parsers, which must agree."""
    message, lenient = read_wire(wire), parse(wire)
    assert message is not None
    assert lenient == replace(message, edns=None)
    return message


def test_a_query_has_an_opt_record_unless_it_must_not() -> None:
    ours = dns.message.from_wire(query(7, NAME, "AAAA", nsid=True))
    assert (ours.edns, ours.payload, len(ours.options)) == (0, 1232, 1)
    plain = dns.message.from_wire(query(7, NAME, "AAAA", edns=False))
    assert plain.edns == -1
    assert ours.flags == plain.flags == dns.flags.RD | dns.flags.AD
    assert ours.question == plain.question == dns.message.make_query(NAME, "AAAA").question


def test_our_own_opt_record_before_the_answers_is_passed_over() -> None:
    asked = query(7, NAME, "A")
    record = b"\xc0\x0c" + struct.pack("!HHiH", 1, 1, 60, 4) + b"\xc0\x00\x02\x01"
    for additional in (0, 1):
        head = struct.pack("!HHHHHH", 7, 0x8180, 1, 1, 0, additional)
        found = read_wire(head + asked[12:] + record)
        assert found is not None
        assert found.answers == ("192.0.2.1",)
        assert found.types == {1}


@given(st.binary(max_size=600))
def test_any_bytes_can_be_read(wire: bytes) -> None:
    assert (read_wire(wire) is None) == (len(wire) < 12)


@given(at=st.integers(0, 200), junk=st.binary(min_size=1, max_size=4), cut=st.booleans())
def test_a_damaged_opt_record_can_be_read(at: int, junk: bytes, *, cut: bool) -> None:
    message = dns.message.make_response(dns.message.make_query(NAME, "A", id=7))
    options = [
        dns.edns.EDEOption(dns.edns.EDECode.CENSORED, "court order"),
        dns.edns.NSIDOption(b"\xff\x00a"),
    ]
    message.use_edns(0, options=options)
    wire = bytearray(message.to_wire())
    at %= len(wire)
    wire[at : at + len(junk)] = junk
    found = read_wire(bytes(wire[:at] if cut else wire))
    assert found is None or found.edns is None or len(found.edns.errors) <= 4


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, "a." * 130, "п.example"])
def test_an_invalid_name_is_rejected(name: str) -> None:
    with pytest.raises(ValueError):
        query(1, name, "A")


def test_an_answer_through_aliases() -> None:
    wire = reply(
        (NAME, "CNAME", "edge.cdn.example."),
        ("edge.cdn.example.", "A", "192.0.2.1"),
        ("edge.cdn.example.", "A", "192.0.2.2"),
        ("edge.cdn.example.", "AAAA", "2001:db8::1"),
    )
    message = read(wire)
    assert message.response
    assert (message.id, message.rcode, message.name, message.type) == (7, 0, NAME, 1)
    assert message.answers == ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    assert message.cnames == ("edge.cdn.example",)
    assert message.ttl == (300, 300, 300)
    assert message.types == {1, 5, 28}
    assert message.whole


@pytest.mark.parametrize("rcode", [0, 2, 3, 5])
def test_response_codes(rcode: int) -> None:
    assert read(reply(rcode=rcode)).rcode == rcode


def test_a_truncated_answer_keeps_what_precedes_the_cut() -> None:
    wire = reply((NAME, "A", "192.0.2.1"), (NAME, "A", "192.0.2.2"))
    message = read(wire[:-3])
    assert (message.answers, message.whole) == (("192.0.2.1",), False)


def test_a_reply_without_its_question_is_read() -> None:
    wire = struct.pack("!HHHHHH", 7, 0x8180, 0, 1, 0, 0)
    wire += encode_name(NAME) + struct.pack("!HHiH", 1, 1, 60, 4) + b"\xc0\x00\x02\x01"
    assert read(wire).name is None
    assert read(wire).answers == ("192.0.2.1",)


def test_pointers_that_loop_end() -> None:
    head = struct.pack("!HHHHHH", 7, 0x8180, 1, 1, 0, 0)
    for pointer in (b"\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\xff\xff"):
        message = read(head + pointer + b"\0\1\0\1")
        assert not message.whole


def test_huge_counts_are_bounded() -> None:
    record = b"\xc0\x0c" + struct.pack("!HHiH", 1, 1, 60, 4) + b"\xc0\x00\x02\x01"
    wire = struct.pack("!HHHHHH", 7, 0x8180, 1, 65535, 0, 0)
    wire += encode_name(NAME) + b"\0\1\0\1" + record * 2000
    assert len(read(wire).answers) == 64
    assert not read(wire[:12] + wire[12:14]).whole


def test_octets_not_in_host_names_are_escaped() -> None:
    wire = struct.pack("!HHHHHH", 7, 0x8180, 1, 0, 0, 0) + b"\x03a\x00.\x02Bc\x00\0\1\0\1"
    assert read(wire).name == r"a\000\046.bc"


@given(st.binary(max_size=600))
def test_any_bytes_can_be_parsed(wire: bytes) -> None:
    message = parse(wire)
    assert (message is None) == (len(wire) < 12)


@given(st.data())
def test_a_damaged_reply_can_be_parsed(data: st.DataObject) -> None:
    wire = bytearray(
        reply((NAME, "CNAME", "a.site.example."), ("a.site.example.", "A", "192.0.2.1"))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    message = parse(bytes(wire[: data.draw(st.integers(0, len(wire)))]))
    assert message is None or len(message.answers) <= 64


def https_record(text: str) -> bytes:
    message = dns.message.make_response(dns.message.make_query(NAME, "HTTPS", id=7))
    message.answer.append(dns.rrset.from_text(f"{NAME}.", 300, "IN", "HTTPS", text))
    return message.to_wire()


def test_an_https_record_announces_protocols() -> None:
    found = read(https_record('1 . alpn="h3,h2" port=8443 ipv4hint=192.0.2.1'))
    assert found.alpn == ("h3", "h2")
    assert read(https_record("0 other.example.")).alpn == ()


@given(st.integers(0, 90))
def test_a_truncated_https_record_announces_the_complete_protocols(size: int) -> None:
    found = parse(https_record('1 . alpn="h3,h2"')[:size])
    assert found is None or set(found.alpn) <= {"h3", "h2"}


@given(st.binary(max_size=60))
def test_the_data_of_an_https_record_may_be_anything(data: bytes) -> None:
    wire = query(7, NAME, "HTTPS")
    head = struct.pack("!HHHHHH", 7, 0x8180, 1, 1, 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, 65, 1, 300, len(data)) + data
    assert parse(head + wire[12:] + record) is not None


@pytest.mark.parametrize("type_", ["A", "AAAA", "HTTPS"])
@pytest.mark.parametrize(("edns", "nsid"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("name", [NAME, "xn--80ak6aa92e.example.", "_x.a-b.Example"])
def test_a_query_is_what_dnspython_would_send(
    name: str,
    type_: str,
    edns: bool,  # noqa: FBT001 - a column of the table
    nsid: bool,  # noqa: FBT001 - a column of the table
) -> None:
    option = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    made = dns.message.make_query(
        name,
        type_,
        use_edns=0 if edns else False,
        payload=1232,
        options=[option] if nsid else None,
        flags=dns.flags.RD | dns.flags.AD,
        id=4711,
    )
    assert query(4711, name, type_, edns=edns, nsid=nsid) == made.to_wire()


_DATA = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "CNAME": "edge.cdn.example.",
    "HTTPS": "1 . alpn=h2",
    "TXT": "text",
}
_SOA = "ns.example. root.example. 1 2 3 4 5"
_OPTIONS: list[list[dns.edns.Option]] = [
    [],
    [dns.edns.NSIDOption(b"gpdns-fra")],
    [dns.edns.NSIDOption(b"\xff\x00")],
    [dns.edns.EDEOption(dns.edns.EDECode.CENSORED, "court order")],
]


@given(
    kinds=st.lists(st.sampled_from(sorted(_DATA)), max_size=4),
    options=st.none() | st.sampled_from(_OPTIONS),
    rcode=st.sampled_from([0, 0, 2, 3, 16]),
    authority=st.booleans(),
    junk=st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=2)), max_size=2),
    cut=st.none() | st.integers(0, 200),
)
@settings(max_examples=200, deadline=None)
def test_the_usual_reply_is_read_as_any_is(
    *,
    kinds: list[str],
    options: list[dns.edns.Option] | None,
    rcode: int,
    authority: bool,
    junk: list[tuple[int, bytes]],
    cut: int | None,
) -> None:
    message = dns.message.make_response(dns.message.make_query(NAME, "A", id=7))
    if options is not None:
        message.use_edns(0, options=options)
    message.set_rcode(dns.rcode.Rcode(rcode if options is not None else rcode & 15))
    for kind in kinds:
        message.answer.append(dns.rrset.from_text(f"{NAME}.", 300, "IN", kind, _DATA[kind]))
    if authority:
        message.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", _SOA))
    wire = bytearray(message.to_wire())
    for at, octets in junk:
        wire[at % len(wire) : at % len(wire) + len(octets)] = octets
    found = read_usual(bytes(wire[:cut]))
    assert found in (None, read_any(bytes(wire[:cut])))


def test_the_usual_reply_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    monkeypatch.setattr(dns_wire, "read_any", asked.append)
    addresses = reply((NAME, "CNAME", "a.example."), ("a.example.", "A", "192.0.2.1"))
    no_data = dns.message.from_wire(reply())
    no_data.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", _SOA))
    no_data.use_edns(0, options=[dns.edns.NSIDOption(b"ams")])
    for wire in (addresses, reply(rcode=3), no_data.to_wire()):
        assert read_wire(wire) is not None
    assert not asked
    dns_wire.read(reply((NAME, "HTTPS", "1 . alpn=h2")))
    assert len(asked) == 1
