"""The headers of a browser's request: Chrome's, in its order and its spelling.

Some middleboxes look for `Host: name` byte for byte. A request that is written otherwise passes
them where a browser's does not, so over plain http each byte is a browser's.
"""

from probe.net.http_response import Headers

# The stable release of Chrome, raised with each release of the probe (docs/developer.md). Servers
# that distrust old browsers answer these with another page. The rest of the string no longer
# changes: Chrome gives every system one version and zeros ("User-Agent reduction").
CHROME = 156
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    f"Chrome/{CHROME}.0.0.0 Safari/537.36"
)
_ACCEPT = (
    b"text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,"
    b"image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
_COMMON: Headers = [
    (b"Upgrade-Insecure-Requests", b"1"),
    (b"User-Agent", USER_AGENT.encode()),
    (b"Accept", _ACCEPT),
    # What can be decompressed here; it is also all that browsers accept over plain http.
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"Accept-Language", b"ru,kk;q=0.9,en;q=0.8"),
]


def http1_headers(host: str, cookies: bytes) -> Headers:
    """The headers over HTTP/1.1."""
    first = [(b"Host", host.encode()), (b"Connection", b"keep-alive")]
    return [*first, *_COMMON, *_cookie(b"Cookie", cookies)]


def http2_headers(host: str, path: str, cookies: bytes) -> Headers:
    """The headers over HTTP/2, whose names are in lower case."""
    first = [
        (b":method", b"GET"),
        (b":authority", host.encode()),
        (b":scheme", b"https"),
        (b":path", path.encode()),
    ]
    return [
        *first,
        *((name.lower(), value) for name, value in _COMMON),
        *_cookie(b"cookie", cookies),
    ]


def _cookie(name: bytes, cookies: bytes) -> Headers:
    return [(name, cookies)] if cookies else []
