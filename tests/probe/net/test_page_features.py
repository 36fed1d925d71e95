"""Features of a page: similar for similar pages, and bounded for any input."""

import base64
import gzip
import re
import time
import zlib
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from probe.net import page_features
from probe.net.http_response import HttpResponse
from probe.net.page_features import (
    WORDS,
    as_text,
    decoded,
    describe,
    fuzzy_hash,
    linked_hosts,
    title,
    words,
)

CAP = 256 * 1024
TEXT = " ".join(f"word{number % 97} other{number % 89}" for number in range(400))


def answer(body: bytes, **headers: str) -> HttpResponse:
    made = HttpResponse(CAP)
    made.headers = [
        (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
    ]
    made.add(body)
    return made


def distance(one: str | None, two: str | None) -> int:
    assert one is not None
    assert two is not None
    return (int(one, 16) ^ int(two, 16)).bit_count()


def test_the_fuzzy_hash_follows_the_words() -> None:
    page = TEXT.split()
    changed = [*page[:50], "news", *page[51:]]
    other = [f"else{number % 101}" for number in range(800)]
    assert fuzzy_hash(page) == fuzzy_hash(list(page))
    assert distance(fuzzy_hash(page), fuzzy_hash(changed)) <= 12
    assert distance(fuzzy_hash(page), fuzzy_hash(other)) >= 16
    assert fuzzy_hash([]) is None
    assert fuzzy_hash(["one"]) != fuzzy_hash(["two"])


def test_words_are_what_a_reader_sees() -> None:
    text = "<style>a{b}</style>Hello <b>wide</b>\nWorld<script>if (a<b) x()</script> end<!-- b -->"
    assert words(text) == ["hello", "wide", "world", "end"]


@given(st.lists(st.sampled_from(["<p>", "< ", "<b", ">", "Σ", "ΑΣ", "ΑΣ\u0301", "a1", " ", "'"])))
def test_reading_a_page_in_pieces_changes_no_word(parts: list[str]) -> None:
    text = "".join(part * 40 for part in parts)
    whole = re.findall(r"\w{1,64}", re.sub(r"<[^<>]*>", " ", text).lower())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_features, "_PIECE", 3)
        assert words(text) == whole[:WORDS]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("Привет".encode(), b"text/html", "Привет"),
        ("Привет".encode("cp1251"), b"text/html; charset=windows-1251", "Привет"),
        ("Привет".encode("cp1251"), b"text/html", "Привет"),
        ("Привет".encode("koi8-r"), b'text/html; charset="KOI8-R"', "Привет"),
        (b'<meta charset="utf-8">' + "Қазақ".encode(), b"text/html", '<meta charset="utf-8">Қазақ'),
        ("Қазақ".encode()[:-1], b"", "Қаза\ufffd"),
        (b"plain", b"text/html; charset=rot13", "plain"),
        (b"plain", b"text/html; charset=punycode", "plain"),
    ],
)
def test_a_body_is_read_by_its_charset(body: bytes, content_type: bytes, expected: str) -> None:
    text = as_text(body, content_type)
    assert text == expected


def test_a_title_is_collapsed_and_bounded() -> None:
    assert title("<TITLE lang=ru> a &amp;\n  b </Title>") == "a & b"
    assert title("<title>never closed " + "x" * 5000) is not None
    assert len(title("<title>" + "x" * 5000 + "</title>") or "") == 256
    assert title("<title></title>") is None
    assert title("<titles>") is None


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_packed_bodies(kind: str) -> None:
    pack = gzip.compress if kind == "gzip" else zlib.compress
    assert decoded(answer(pack(b"x" * 1000), content_encoding=kind)) == b"x" * 1000


def test_broken_gzip_is_decoded_up_to_the_error() -> None:
    noise = Random(1).randbytes(40_000)
    packed = bytearray(gzip.compress(noise))
    packed[-20_000] ^= 0xFF
    content = decoded(answer(bytes(packed), content_encoding="gzip"))
    assert noise.startswith(content[:4096])
    assert len(content) > 4096
    assert decoded(answer(b"not gzip", content_encoding="gzip")) == b"not gzip"


def test_a_bomb_is_bounded_in_size_and_time() -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)
    started = time.process_time()
    content = decoded(answer(bomb, content_encoding="gzip"))
    assert len(content) == 2 * CAP
    assert time.process_time() - started < 0.1


def test_only_named_headers_are_kept_and_values_are_cut() -> None:
    page = describe(
        answer(b"", server="x" * 500, set_cookie="id=1", cf_ray="8f-ALA", x_ip="192.0.2.1"),
        "http://site.example/",
    )
    assert page.headers == {"server": "x" * 256, "cf-ray": "present"}


def test_the_first_location_that_is_not_empty_counts() -> None:
    response = answer(b"")
    response.headers += [(b"location", b""), (b"location", b"/a b"), (b"location", b"/c")]
    assert describe(response, "http://site.example/x").location == "http://site.example/a%20b"


def test_links_are_hosts_sorted_and_limited() -> None:
    body = b"".join(b'<a href="https://h%02d.example/x">' % number for number in range(40))
    body += b"<img src=//CDN.Example/y><a href='/local'><a href=\"mailto:x@y.example\">"
    links = describe(answer(body), "http://site.example/").links
    assert links[0] == "cdn.example"
    assert len(links) == 32


HOSTILE = [b"<", b"<>", b"<script", b"<title", b"<title ", b'="//', b"href=", b"&", b"\xff", b"x "]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_pages_take_little_time(piece: bytes) -> None:
    started = time.process_time()
    describe(answer(piece * (CAP // len(piece))), "http://site.example/")
    assert time.process_time() - started < 0.5


@settings(max_examples=50)
@given(
    st.binary(max_size=3000), st.sampled_from(["gzip", "deflate", "br", ""]), st.text(max_size=40)
)
def test_anything_can_be_described(body: bytes, encoding: str, charset: str) -> None:
    made = HttpResponse(CAP)
    made.headers = [
        (b"content-encoding", encoding.encode()),
        (b"content-type", b"text/html; charset=" + charset.encode()),
        (b"location", body),
        (b"content-length", body),
    ]
    made.add(body)
    found = describe(made, "http://site.example/")
    assert found.location is None or found.location.isprintable()
    assert found.title is None or len(found.title) <= page_features.TITLE
    assert len(base64.b64decode(found.excerpt)) <= page_features.EXCERPT


def plain_hash(seen: list[str]) -> str:
    """The fuzzy hash, word by word."""
    mix, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    crcs = [zlib.crc32(word.encode()) for word in [*seen, "", ""]]
    triples = {
        (one + 3 * two + 5 * three) * mix & mask
        for one, two, three in zip(crcs, crcs[1:], crcs[2:], strict=False)
    }
    chosen = [(n ^ n >> 29) * mix & mask for n in sorted(triples)[: page_features.SHINGLES]]
    votes = [sum(n >> bit & 1 for n in chosen) for bit in range(64)]
    return f"{sum((2 * vote > len(chosen)) << bit for bit, vote in enumerate(votes)):016x}"


@given(st.randoms(use_true_random=False), st.sampled_from([1, 2, 3, 511, 513, 1023, 1024]))
@settings(max_examples=30, deadline=None)
def test_the_fuzzy_hash_of_all_words_at_once_is_that_of_each(random: Random, count: int) -> None:
    seen = [str(random.randrange(10 ** random.randrange(1, 6))) for _ in range(count)]
    assert fuzzy_hash(seen) == plain_hash(seen)


@given(
    st.lists(
        st.sampled_from(['"', "= ", "http:", "HTTPS:", "//", "/", "a.b", "\u017f.kz", " " * 3])
    )
)
def test_links_are_found_by_what_stands_before_them(parts: list[str]) -> None:
    text = "".join(parts)
    link = re.compile(r"[\"'=]\s{0,4}(?:https?:)?//([A-Za-z0-9.\-_]{1,253})", re.IGNORECASE)
    hosts = {found[1].lower().strip(".") for found in link.finditer(text)}
    assert linked_hosts(text) == tuple(sorted(host for host in hosts if "." in host))
