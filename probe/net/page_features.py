"""Comparable features of a page: title, hash, fuzzy hash, links.

The input is untrusted. Time is linear in the body cap, decompression included, and nothing raises.
"""

import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from html import unescape
from struct import pack, unpack
from zlib import crc32

from msgspec import Struct

from probe.net.http_response import Headers, HttpResponse
from probe.redirects import redirect_target

TITLE = 256
VALUE = 256
LINKS = 32
EXCERPT = 4096
WORDS = 1024
SHINGLES = 512
_PIECE = 4096  # characters that are read for words at a time

# An allow-list, so that no header that identifies the user is recorded.
KEPT = frozenset(
    {
        "alt-svc",
        "cache-control",
        "cf-cache-status",
        "cf-mitigated",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "location",
        "refresh",
        "retry-after",
        "server",
        "strict-transport-security",
        "transfer-encoding",
        "via",
        "www-authenticate",
        "x-cache",
        "x-powered-by",
    }
)
# Only their presence is recorded: the value identifies this request at the server.
PRESENT = frozenset({"cf-ray", "x-amz-cf-id", "x-sucuri-id", "x-iinfo", "x-akamai-request-id"})

_CHARSET = re.compile(rb"charset\s{0,8}=\s{0,8}[\"']?([A-Za-z0-9_\-]{2,32})", re.IGNORECASE)
_LINK = re.compile(r"//([A-Za-z0-9.\-_]{1,253})", re.IGNORECASE)
_LINKS = re.compile(r"[\"'=]\s{0,4}(?:https?:)?\Z", re.IGNORECASE)  # what stands before one
_BEFORE = len("'    https:")
_TITLE = re.compile(r"<title(?:\s[^<>]{0,256})?>", re.IGNORECASE)
_TITLE_END = re.compile(r"</title", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b", re.IGNORECASE)
_SCRIPT_END = re.compile(r"</script[^<>]{0,64}>", re.IGNORECASE)
_STYLE_END = re.compile(r"</style[^<>]{0,64}>", re.IGNORECASE)
# No "<" inside, so that the time is linear even if tags are never closed.
_TAG = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"\w{1,64}")
# The encodings of browsers (WHATWG Encoding) that Python has. Not all of Python's: some of its
# codecs take quadratic time or are not character sets.
_CODECS = {
    **{name: name for name in ("utf-8", "utf-16le", "utf-16be", "koi8-r", "koi8-u", "gbk")},
    **{name: name for name in ("gb18030", "big5", "shift_jis", "euc-jp", "euc-kr")},
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"cp{page}": f"cp{page}" for page in range(1250, 1259)},
    **{
        f"iso-8859-{part}": f"iso-8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)
    },
    "ascii": "cp1252",
    "gb2312": "gbk",
    "ibm866": "cp866",
    "iso-8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "utf-16": "utf-16le",
    "utf8": "utf-8",
    "x-sjis": "shift_jis",
}
_MIX = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: spreads 32 bits over 64
# Every second lane of as many as there are words, and in each lane the bits below the upper 29.
_SECOND = int.from_bytes((b"\xff" * 8 + bytes(8)) * (WORDS // 2 + 1), "little")
_UPPER = int.from_bytes(((1 << 35) - 1).to_bytes(8, "little") * WORDS, "little")


class PageFeatures(Struct, frozen=True):
    """The features of one response, as in a step."""

    headers: dict[str, str]
    location: str | None
    title: str | None
    declared_bytes: int | None
    sha256: str | None
    fuzzy: str | None
    links: tuple[str, ...]
    excerpt: str


def describe(answer: HttpResponse, url: str) -> PageFeatures:
    """The features of a response to `url`."""
    content = decoded(answer)
    text = as_text(content, answer.header(b"content-type") or b"")
    return PageFeatures(
        headers=named(answer.headers),
        location=target_of(answer, url),
        title=title(text),
        declared_bytes=answer.declared,
        sha256=sha256(content).hexdigest() if content else None,
        fuzzy=fuzzy_hash(words(text)),
        links=linked_hosts(text),
        excerpt=b64encode(content[:EXCERPT]).decode("ascii"),
    )


def target_of(answer: HttpResponse, url: str) -> str | None:
    """Where the first `Location` leads that is not empty."""
    locations = (value for name, value in answer.headers if name == b"location")
    return redirect_target(url, next(filter(None, locations), b""))


def decoded(answer: HttpResponse) -> bytes:
    """The body without its content encoding, at most twice the cap, up to an error in gzip."""
    body = bytes(answer.body[: answer.cap])
    encoding = (answer.header(b"content-encoding") or b"").strip().lower()
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        return body
    # "deflate" means a zlib stream, and some servers send a bare one; browsers read both.
    bare = encoding == b"deflate" and body[:1] and (body[0] & 0x0F) != zlib.DEFLATED
    window = -zlib.MAX_WBITS if bare else zlib.MAX_WBITS
    unpacker = zlib.decompressobj((16 if b"gzip" in encoding else 0) + window)
    content, most = bytearray(), 2 * answer.cap
    try:
        # In pieces, so that what precedes an invalid byte is kept.
        for at in range(0, len(body), EXCERPT):
            content += unpacker.decompress(body[at : at + EXCERPT], most - len(content))
            if len(content) >= most:
                break
    except zlib.error:
        pass
    return bytes(content) or body


def as_text(content: bytes, content_type: bytes) -> str:
    """Decode as browsers do: by header, by meta, else as UTF-8, else as windows-1251."""
    for found in (_CHARSET.search(content_type), _CHARSET.search(content[:2048])):
        charset = _CODECS.get(found[1].decode("ascii").lower()) if found else None
        if charset is not None:
            return content.decode(charset, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        # Cut within a character by the cap, or not UTF-8.
        cut = error.start >= len(content) - 3
        return content.decode("utf-8" if cut else "cp1251", "replace")


def title(text: str) -> str | None:
    """The text of <title>, with white space collapsed."""
    opened = _TITLE.search(text)
    if opened is None:
        return None
    closed = _TITLE_END.search(text, opened.end())
    inner = text[opened.end() : closed.start() if closed else opened.end() + 4 * TITLE]
    return " ".join(unescape(inner[: 4 * TITLE]).split())[:TITLE] or None


def named(headers: Headers) -> dict[str, str]:
    """The headers that may be recorded."""
    kept: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1")
        if name in KEPT and name not in kept:
            kept[name] = printable(raw_value.decode("latin-1"))[:VALUE]
        elif name in PRESENT:
            kept[name] = "present"
    return kept


def linked_hosts(text: str) -> tuple[str, ...]:
    """The hosts that a page links to: two slashes are found sooner than what precedes them."""
    seen: set[str] = set()
    for found in _LINK.finditer(text):
        at = found.start()
        if found[1] not in seen and _LINKS.search(text, max(0, at - _BEFORE), at):
            seen.add(found[1])
    hosts = {host.lower().strip(".") for host in seen}
    return tuple(sorted(host for host in hosts if "." in host)[:LINKS])


def words(text: str) -> list[str]:
    """The first visible words, in lower case.

    The text is read in pieces that end before a "<", where no tag or word is cut: most pages have
    enough words long before their end.
    """
    bare = "".join(visible(text))
    seen: list[str] = []
    at = 0
    while at < len(bare) and len(seen) < WORDS:
        end = bare.find("<", at + _PIECE)
        end = len(bare) if end < 0 else end
        seen += _WORD.findall(_TAG.sub(" ", bare[at:end]).lower())
        at = end
    return seen[:WORDS]


def visible(text: str) -> Iterator[str]:
    """The text without scripts and styles; one that is not closed hides the rest."""
    at = 0
    while (hidden := _HIDDEN.search(text, at)) is not None:
        yield text[at : hidden.start()]
        ends = _SCRIPT_END if hidden[1].lower() == "script" else _STYLE_END
        end = ends.search(text, hidden.end())
        if end is None:
            return
        at = end.end()
    yield text[at:]


def fuzzy_hash(seen: Sequence[str]) -> str | None:
    """A 64-bit simhash of word triples: similar pages differ in few bits.

    Of many triples those with the smallest hashes are used, so that both sides use the same ones.
    All words are calculated with at once, as lanes of one large number.
    """
    if not seen:
        return None
    hashes = _lanes(map(crc32, "\n".join([*seen, "", ""]).encode().split(b"\n")), len(seen) + 2)
    # One lane of 64 bits for each word: the next words are 64 and 128 bits further. Sums fit.
    triples = (hashes + 3 * (hashes >> 64) + 5 * (hashes >> 128)) & (1 << 64 * len(seen)) - 1
    spread = unpack(f"<{len(seen)}Q", _mixed(triples).to_bytes(8 * len(seen), "little"))
    chosen = sorted(set(spread))[:SHINGLES]
    numbers = _lanes(chosen, len(chosen))
    # Mix, so that every bit depends on the higher ones.
    mixed = _mixed(numbers ^ numbers >> 29 & _UPPER).to_bytes(8 * len(chosen), "little")
    half = len(chosen) / 2
    bits = 0
    for position in range(8):
        octets = int.from_bytes(mixed[7 - position :: 8], "big")
        for bit, ones in enumerate(_ONES):
            votes = (octets & ones).bit_count()  # of all octets at this position at once
            bits |= (votes > half) << (56 - 8 * position + bit)
    return f"{bits:016x}"


def _lanes(numbers: Iterable[int], count: int) -> int:
    """One number with a lane of 64 bits for each of these, the first one lowest."""
    return int.from_bytes(pack(f"<{count}Q", *numbers), "little")


def _mixed(lanes: int) -> int:
    """Each lane times `_MIX`, modulo 2^64; every second one at once, as a product has 128 bits."""
    upper = ((lanes >> 64 & _SECOND) * _MIX & _SECOND) << 64
    return (lanes & _SECOND) * _MIX & _SECOND | upper


def printable(text: str) -> str:
    """`text` without control characters."""
    return "".join(char for char in text if char.isprintable())


# For each bit of an octet, that bit set in SHINGLES octets.
_ONES = tuple(int.from_bytes(bytes([1 << bit]) * SHINGLES, "big") for bit in range(8))
