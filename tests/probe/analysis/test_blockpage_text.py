import base64

import pytest

from probe.analysis.blockpage_text import reads_like_blockpage, text
from tests.build import PLAIN, page

FRAME = b"<html><body><iframe src='http://stop.example/' width='100%'></iframe></body></html>"
ARTICLE = b"<p>" + "Бүгін күн ашық болады. ".encode() * 90 + b"</p>" + FRAME
OLD_CODE = "<h1>Доступ ограничен</h1>".encode("cp1251")


@pytest.mark.parametrize(
    ("body", "title", "expected"),
    [
        (b"<h1>Access to this site is RESTRICTED</h1>", None, True),
        ("Сайтқа кіру шектелген".encode(), None, True),
        (OLD_CODE, None, True),
        (b"", "Blocked", True),
        (FRAME, None, True),
        (b"<script>location.href='http://stop.example/'</script>", None, True),
        (ARTICLE, None, False),
        (b"<h1>Welcome to our trade house</h1>", "Trade house", False),
        (b"<style>.blocked{color:red}</style><h1>Welcome</h1>", None, False),
        (b"", None, False),
    ],
)
def test_a_block_notice_is_recognised(body: bytes, title: str | None, *, expected: bool) -> None:
    seen = page(PLAIN, title=title, body=base64.b64encode(body[:4096]).decode())
    assert reads_like_blockpage(seen) is expected


def test_a_cut_character_does_not_change_the_encoding() -> None:
    cut = "Қазақ тілі".encode()[:-1]
    assert text(page(PLAIN, body=base64.b64encode(cut).decode())) == "Қазақ тіл"


def test_invalid_base64_gives_no_text() -> None:
    assert text(page(PLAIN, body="?")) == ""
