"""Addresses that were not measured are removed from every field, notation and encoding."""

import html
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from probe import codec, ip_patterns, scrub as scrub_module
from probe.clip import UnfitError, within_bounds
from probe.ip_patterns import Allowed, clean
from probe.model import (
    Control,
    Dns,
    Edns,
    ExtendedError,
    Http,
    Line,
    Outcome,
    Ping,
    Record,
    Reply,
    RuleHit,
    RunFacts,
    Skip,
    Step,
    Tcp,
    Tls,
    Trust,
    Vantage,
    Verdict,
)
from probe.scrub import allowed_addresses, scrub

SEEN4, SEEN6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"
OURS4, OURS6 = IPv4Address("88.204.165.166"), IPv6Address("2a03:5a00:f10c:83:face:b00c:0:25de")
SEEN = Allowed([SEEN4, SEEN6])
UUID = "01935f00-0000-7000-8000-000000000001"


def percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


FOUR: dict[str, Callable[[IPv4Address], str]] = {
    "dotted": str,
    "padded": lambda a: ".".join(f"{byte:03}" for byte in a.packed),
    "octal": lambda a: ".".join(f"0{byte:o}" for byte in a.packed),
    "hexadecimal parts": lambda a: ".".join(f"{byte:#x}" for byte in a.packed),
    "dashes": lambda a: str(a).replace(".", "-"),
    "underscores": lambda a: str(a).replace(".", "_"),
    "commas": lambda a: str(a).replace(".", ","),
    "defanged": lambda a: str(a).replace(".", "[.]"),
    "full width dots": lambda a: str(a).replace(".", "\uff0e"),
    "arabic digits": lambda a: str(a).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
    "zero width": lambda a: str(a).replace(".", "\u200b.\u200b"),
    "reversed": lambda a: a.reverse_pointer,
    "number": lambda a: str(int(a)),
    "hexadecimal number": lambda a: f"{int(a):#010x}",
    "hexadecimal": lambda a: a.packed.hex(),
    "twelve digits": lambda a: "".join(f"{byte:03}" for byte in a.packed),
    "mapped": lambda a: f"::ffff:{a}",
    "mapped in hexadecimal": lambda a: str(IPv6Address((0xFFFF << 32) + int(a))),
    "compatible": lambda a: f"0:0:0:0:0:0:{a}",
    "with port": lambda a: f"{a}:51820",
    "hexadecimal pairs": lambda a: a.packed.hex(":"),
    "base64 of its bytes": lambda a: b64encode(a.packed).decode(),
}
SIX: dict[str, Callable[[IPv6Address], str]] = {
    "short": str,
    "exploded": lambda a: a.exploded,
    "capitals": lambda a: str(a).upper(),
    "brackets": lambda a: f"[{a}]:443",
    "zone": lambda a: f"{a}%eth0",
    "zone in a URL": lambda a: f"{a}%25eth0",
    "dotted tail": lambda a: ":".join(a.exploded.split(":")[:6]) + f":{IPv4Address(a.packed[12:])}",
    "reversed": lambda a: a.reverse_pointer,
    "hexadecimal": lambda a: a.packed.hex(),
    "number": lambda a: str(int(a)),
    "base64 of its bytes": lambda a: b64encode(a.packed).decode(),
}
WRAPPED: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": percent,
    "percent twice": lambda s: quote(percent(s)),
    "base64": lambda s: b64encode(s.encode()).decode(),
    "base64 in a sentence": lambda s: b64encode(f"you are {s}, hello".encode()).decode(),
    "base64 without padding": lambda s: b64encode(f"ip={s}".encode()).decode().rstrip("="),
    "hex": lambda s: s.encode().hex(),
    "base64 of hex": lambda s: b64encode(s.encode().hex().encode()).decode(),
    "entities": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "entities twice": lambda s: html.escape("".join(f"&#{ord(c)};" for c in s)),
    "escapes": lambda s: "".join(f"\\x{ord(c):02x}" if c.isascii() else c for c in s),
    "unicode escapes": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
}
AROUND = [
    "{}",
    "ip={};",
    "Your IP ({}).",
    "http://h.example/?a={}&b=1",
    "x{}_z",
    "http://{}/x",
    "'{}'",
]
four = st.sampled_from(sorted(FOUR)).map(FOUR.__getitem__)
six = st.sampled_from(sorted(SIX)).map(SIX.__getitem__)
wraps = st.sampled_from(sorted(WRAPPED)).map(WRAPPED.__getitem__)
# Public addresses; each byte in two or three digits, so that no notation is too short.
global4 = st.builds(
    lambda a, b, c, d: IPv4Address(bytes((a, b, c, d))),
    st.integers(11, 223), st.integers(10, 255), st.integers(10, 255), st.integers(10, 255),
)  # fmt: skip
global6 = st.builds(
    lambda net, host: IPv6Address((net << 64) + host),
    st.integers(0x2001 << 48, 0x3FFF << 48), st.integers(1 << 63, (1 << 64) - 1),
)  # fmt: skip
planted = st.one_of(
    st.builds(lambda spell, a: spell(a), four, global4),
    st.builds(lambda spell, a: spell(a), six, global6),
)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("wrap", WRAPPED)
def test_every_notation_in_every_encoding_is_replaced(wrap: str, around: str) -> None:
    spellings = [spell(OURS4) for spell in FOUR.values()] + [spell(OURS6) for spell in SIX.values()]
    for spelling in spellings:
        text = around.format(WRAPPED[wrap](spelling))
        cleaned = clean(text, SEEN)
        assert "scrubbed" in cleaned, text
        assert clean(cleaned, SEEN) == cleaned, text


@given(planted, wraps, st.sampled_from(AROUND))
@example("dadadada", str, "{}")
@example("::ffff:bca:aca", str, "x{}_z")
@settings(max_examples=300, deadline=None)
def test_any_address_is_replaced(spelling: str, wrap: Callable[[str], str], around: str) -> None:
    text = around.format(wrap(spelling))
    cleaned = clean(text, SEEN)
    assert "scrubbed" in cleaned
    assert clean(cleaned, SEEN) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        SEEN4,
        f"ip={SEEN4}:443",
        "34.216.184.93.in-addr.arpa",
        f"::ffff:{SEEN4}",
        SEEN6,
        f"[{IPv6Address(SEEN6).exploded}]:443",
        IPv6Address(SEEN6).reverse_pointer,
        str(int(IPv4Address(SEEN4))),
        "nginx/1.18.0 (Ubuntu)",
        "12:34:56",
        "Sat, 21 Nov 2026 21:39:05 GMT",
        "p::before { margin: 0 auto }",
        "std::vector",
        "Страница заблокирована",
        "text/html; charset=utf-8",
        "Mozilla/5.0 (X11; Linux x86_64)",
        "1, 2, 3, 4",
        "+7 (727) 250-00-00",
        "CN=R3,O=Let's Encrypt,C=US",
        "100% sure",
        "a=1&amp;b=2",
        "2026-11-21",
        "",
    ],
)
def test_other_text_and_allowed_addresses_are_kept(text: str) -> None:
    assert clean(text, SEEN) == text


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
@example("%" * 50 + "31.2.3.4")
@example("%25" * 60 + "31")
def test_scrubbing_twice_changes_nothing(text: str) -> None:
    once = clean(text, SEEN)
    assert clean(once, SEEN) == once


def test_a_truncated_address_is_replaced() -> None:
    assert "88.204.16" not in clean("x " * 125 + "your address is 88.204.16", SEEN)
    assert "2a03:5a00" not in clean("x " * 125 + "your address is 2a03:5a00:f1", SEEN)


def http(**fields: Any) -> Http:
    return Http(url="https://example.com/", address=SEEN4, port=443, host="example.com", **fields)


def record(*steps: Step, **fields: Any) -> Record:
    given_ = {
        "id": UUID, "run": UUID, "experiment": "web", "input": "https://example.com/",
        "started_at": "2026-11-21T21:39:05.123Z", "elapsed": 3.2, "vantage": Vantage(), **fields,
    }  # fmt: skip
    return Record(steps=steps, **given_)


def full(plant: str) -> Record:
    """A record with the same text in every text field."""
    trust = Trust(
        valid=False, subject=plant, issuer=plant, issuer_key=plant, leaf_key=plant,
        not_before=plant, not_after=plant,
    )  # fmt: skip
    reply = Reply(at=0.1, rcode=0, answers=(SEEN4,), cnames=("www.example.com", plant))
    steps: tuple[Step, ...] = (
        Dns(name=plant, resolver="system", replies=(reply,), detail=plant, type=plant),
        Tcp(address=SEEN4, port=443, detail=plant),
        Tls(
            address=SEEN4, port=443, sni=plant, hello=plant, version=plant, cipher=plant,
            alpn=plant, chain=(plant,), trust=trust,
        ),
        http(
            headers={"server": plant, "X-Client-IP": plant, "via": plant}, location=plant,
            title=plant, links=(plant,), sha256=plant, fuzzy=plant, version=plant, method=plant,
            body=b64encode(f"<p>{plant}</p>".encode()).decode(),
        ),
        Ping(what=plant),
    )  # fmt: skip
    return record(
        *steps,
        category=plant,
        id=plant,
        run=plant,
        experiment=plant,
        started_at=plant,
        ruleset=plant,
        certs={plant: plant},
        vantage=Vantage(network=plant, region=plant, kind=plant, platform=plant, version=plant),
        control=(Control(id=plant, age=-1.0, steps=(http(title=plant),)),),
        line=Line(resigned_by=plant, nxdomain_addresses=(plant,), hijacked_resolvers=(plant,)),
        facts=RunFacts(
            skipped=(Skip(input=plant, reason=plant),),
            roots=plant,
            outcomes={plant: 1},
            skipped_counts={plant: 1},
        ),
        verdict=Verdict(outcome=Outcome.OK, rules=(RuleHit(id=plant, reason=plant),)),
    )


def texts(value: Any) -> Iterator[str]:
    """Every string of a record, keys included, and its decoded bodies."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
            if key == "body" and item:
                yield b64decode(item).decode("utf-8", "replace")
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def written(scrubbed: Record) -> list[str]:
    return list(texts(msgspec.json.decode(codec.encode(scrubbed))))


@given(planted, wraps, st.sampled_from(AROUND))
@example("[2001:1000:ffb:1000:8000::1]:443", WRAPPED["hex"], "{}")
@example("11\u200b.\u200b100\u200b.\u200b100\u200b.\u200b100", WRAPPED["hex"], "{}")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_planted_address_remains_in_any_field_of_a_record(
    spelling: str, wrap: Callable[[str], str], around: str
) -> None:
    plant = wrap(spelling)
    scrubbed = scrub(full(around.format(plant)), allowed={SEEN4})
    for text in written(scrubbed):
        assert plant.casefold() not in text.casefold()
        assert spelling.casefold() not in text.casefold()
    assert scrub(scrubbed, allowed={SEEN4}) == scrubbed
    # Some of what is planted is too long for an id, which is then no record.
    with suppress(UnfitError):
        within = within_bounds(scrubbed)
        assert codec.decode(codec.encode(within)) == within


def test_measured_addresses_are_kept_in_every_field() -> None:
    kept = full(f"at {SEEN4}")
    scrubbed = scrub(kept, allowed=allowed_addresses(kept.steps))
    assert scrubbed.steps[2] == kept.steps[2]
    assert scrubbed.vantage == kept.vantage
    assert scrubbed.verdict == kept.verdict


def test_an_ordinary_record_is_unchanged() -> None:
    page = b64encode("<title>Добро пожаловать</title>".encode()).decode()
    ordinary = record(
        Dns(name="example.com", resolver="8.8.8.8", replies=(Reply(at=0.1, rcode=0),)),
        Tls(
            address=SEEN4, port=443, sni="example.com", version="TLSv1.3", chain=("ab" * 32,),
            cipher="TLS_AES_128_GCM_SHA256", alpn="h2",
            trust=Trust(valid=True, issuer_key="12" * 32, leaf_key="f4" * 32,
                        not_before="2026-01-01T00:00:00Z", subject="CN=example.com"),
        ),
        http(sha256="cd" * 32, fuzzy="0123456789abcdef", body=page, status=200,
             headers={"server": "nginx/1.24.0", "date": "Sat, 21 Nov 2026 21:39:05 GMT"}),
    )  # fmt: skip
    assert scrub(ordinary, allowed=allowed_addresses(ordinary.steps)) == ordinary


def test_addresses_of_controls_are_kept() -> None:
    control = Control(id=UUID, age=1.0, steps=(Tcp(address="151.101.1.140", port=443),))
    scrubbed = scrub(record(control=(control,)), allowed=())
    assert scrubbed.control == (control,)


def test_a_typed_address_that_is_not_allowed_is_replaced() -> None:
    scrubbed = scrub(record(Tcp(address=str(OURS4), port=443)), allowed=())
    assert scrubbed.steps == (Tcp(address="scrubbed", port=443),)


def test_a_private_resolver_is_not_kept() -> None:
    home = Dns(name="example.com", resolver="192.168.1.1")
    assert allowed_addresses((home,)) == frozenset()
    assert scrub(record(home), allowed=()).steps == (
        msgspec.structs.replace(home, resolver="scrubbed"),
    )


def test_a_private_gateway_is_not_kept() -> None:
    gateway = Ping(what="resolver", address="192.168.1.1")
    scrubbed = scrub(record(gateway), allowed=allowed_addresses((gateway,)))
    assert scrubbed.steps == (Ping(what="resolver", address="scrubbed"),)


def test_a_labs_resolver_is_kept() -> None:
    lab = record(Dns(name="example.com", resolver="10.0.0.53"), lab=True)
    assert scrub(lab, allowed=allowed_addresses(lab.steps)) == lab


def test_answers_and_destinations_are_kept_even_if_private() -> None:
    reply = Reply(at=0.1, rcode=0, answers=("10.10.34.34",))
    steps: tuple[Step, ...] = (
        Dns(name="example.com", resolver="system", replies=(reply,)),
        Tcp(address=SEEN6, port=443),
    )
    assert allowed_addresses(steps) == {"10.10.34.34", SEEN6}
    assert scrub(record(*steps), allowed=allowed_addresses(steps)).steps == steps


def test_numbers_of_the_input_are_kept() -> None:
    url = "https://example.com/a/31234567.html"
    step = Http(url=url, address=SEEN4, port=443, host="example.com")
    scrubbed = scrub(record(step, input=url), allowed={SEEN4})
    assert scrubbed.input == url
    assert scrubbed.steps == (step,)


def test_headers_pass_by_name() -> None:
    given_ = {"Server": "nginx", "Set-Cookie": "id=1", "X-Forwarded-For": "there", "Via": "1.1 a"}
    scrubbed = scrub(record(http(headers=given_)), allowed={SEEN4}).steps[0]
    assert isinstance(scrubbed, Http)
    assert scrubbed.headers == {"server": "nginx", "via": "1.1 a"}


def body_of(data: bytes, content_type: str = "text/html") -> bytes:
    step = http(body=b64encode(data).decode(), headers={"content-type": content_type})
    scrubbed = scrub(record(step), allowed={SEEN4}).steps[0]
    assert isinstance(scrubbed, Http)
    return b64decode(scrubbed.body or "")


def test_a_page_in_windows_1251_stays_readable_without_its_address() -> None:
    page = f"<meta charset=windows-1251><p>Ваш адрес {OURS4}, доступ запрещён".encode("cp1251")
    text = body_of(page).decode("cp1251")
    assert "доступ запрещён" in text
    assert str(OURS4) not in text


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8b\x08\x00" + bytes(range(256)),
        b"\x00" + str(OURS4).encode(),
        str(OURS4).encode("utf-16"),
        str(OURS4).encode("utf-32"),
    ],
)
def test_a_binary_body_is_not_kept(data: bytes) -> None:
    assert body_of(data) == b"[scrubbed]"


def test_packed_bytes_in_a_page_are_replaced() -> None:
    assert OURS4.packed not in body_of(b"<p>Hello " + OURS4.packed + b", you</p>")
    assert OURS6.packed not in body_of(b"<p>Hello " + OURS6.packed + b", you</p>")


def test_a_body_that_is_no_base64_is_emptied() -> None:
    step = scrub(record(http(body="!!!!")), allowed={SEEN4}).steps[0]
    assert isinstance(step, Http)
    assert step.body == ""


def test_a_record_takes_a_millisecond_or_two() -> None:
    page = (
        "<html><div class='some-long-class'><a href='https://example.com/path?x=1'>слово</a>" * 60
    )[:3000]
    shaken = Tls(address=SEEN4, port=443, sni="example.com", chain=("ab" * 32,) * 3,
                 trust=Trust(valid=True, subject="CN=example.com", issuer="CN=R3"))  # fmt: skip
    steps: list[Step] = [Tcp(address=SEEN4, port=443), shaken] * 6
    fetched = http(title="Добро пожаловать", headers={"server": "nginx/1.24.0"}, sha256="ab" * 32)
    typical = record(*steps, fetched, fetched, http(body=b64encode(page.encode()).decode()))
    allowed = allowed_addresses(typical.steps)
    started = time.process_time()
    for _ in range(20):
        scrub(typical, allowed=allowed)
    seconds = (time.process_time() - started) / 20
    print(f"{seconds * 1000:.2f} ms a record")
    assert seconds < 0.02


def test_addresses_are_recognised_in_both_families() -> None:
    assert SEEN.address(ip_address(SEEN6))
    assert not SEEN.address(OURS6)


def test_only_named_leaves_of_a_control_are_kept() -> None:
    def named(der: bytes) -> tuple[str, str]:
        return sha256(der).hexdigest(), b64encode(der).decode()

    public = Trust(valid=True, anchored=True)
    (good, text), (other, other_text), (junk, junk_text) = map(named, (b"one", b"two", b"three"))

    def kept(certs: dict[str, str], trust: Trust = public) -> dict[str, str]:
        step = Tls(address=SEEN4, port=443, sni="site.example", chain=(good, other), trust=trust)
        seen = Control(id="01890000-0000-7000-8000-000000000001", age=1.0, steps=(step,))
        before = record(control=(msgspec.structs.replace(seen, certs=certs),))
        return scrub(before, allowed=()).control[0].certs

    assert kept({good: text}) == {good: text}
    assert kept({}) == {}
    assert kept({good: other_text}) == {}
    assert kept({good: "%"}) == {}
    assert kept({good: text, other: other_text, junk: junk_text}) == {good: text}
    # An unreadable certificate from no public authority may contain anything.
    assert kept({good: text}, Trust(valid=False)) == {}


@pytest.mark.parametrize("target", ["https://45.130.9.9/", "https://[2a03:2880:f10d::1]:8443/a"])
def test_a_target_that_is_a_public_address_stays_what_it_is(target: str) -> None:
    assert scrub(record(input=target), allowed=()).input == target


def test_a_target_that_is_a_private_address_is_scrubbed() -> None:
    assert "192.168.1.77" not in scrub(record(input="http://192.168.1.77/"), allowed=()).input


def test_what_a_resolver_says_is_scrubbed() -> None:
    words = ExtendedError(code=16, text="blocked for 178.88.1.2 by order 7")
    reply = Reply(at=0.1, rcode=3, edns=Edns(errors=(words,), nsid="178.88.1.2"))
    step = Dns(name="site.example", resolver="system", replies=(reply,))
    edns = scrub(record(step), allowed=()).steps[0].replies[0].edns  # type: ignore[union-attr]
    assert edns is not None
    assert "178.88" not in repr(edns)
    assert "by order 7" in edns.errors[0].text


def test_a_text_of_many_records_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    cleaned = ip_patterns._cleaned

    def counted(text: str, allowed: Allowed, mark: str) -> str:
        read.append(text)
        return cleaned(text, allowed, mark)

    monkeypatch.setattr(ip_patterns, "_cleaned", counted)
    monkeypatch.setattr(ip_patterns, "_harmless", {})
    for _ in range(3):
        assert clean("text/html; charset=utf-8", Allowed([])) == "text/html; charset=utf-8"
    assert read == ["text/html; charset=utf-8"]
    assert [clean(f"number {n} of many", Allowed([])) for n in range(2000)]
    assert len(ip_patterns._harmless) <= ip_patterns._REMEMBERED


@pytest.mark.parametrize("text", [SEEN4, f"at {SEEN4}", f"[{SEEN6}]"])
def test_what_one_record_may_keep_is_removed_from_the_next(text: str) -> None:
    for _ in range(2):
        assert clean(text, SEEN) == text
        assert clean(text, Allowed([])) != text
    number = f"id={int(OURS4)}"
    assert clean(number, Allowed([], [str(int(OURS4))])) == number
    assert clean(number, Allowed([])) != number


def test_fields_that_hold_only_numbers_are_not_looked_at() -> None:
    looked = scrub_module._with_text(Tls)
    assert not {"at", "elapsed", "bytes_in", "alert", "acknowledged"} & set(looked)
    assert {"address", "sni", "detail", "alert_by", "trust", "chain"} <= set(looked)
