"""Whether a page reads like a block notice: an indication, never a proof.

Operators write their own notices, so a list of them is never complete. They share a subject and a
form: a few words, or a frame or script that fetches the words from another site.
"""

import base64
import re

from probe.model import Http

_WORDS = (
    *("block", "restrict", "denied", "forbid", "prohibit", "banned", "censor", "filter", "illegal"),
    *("unlawful", "court", "decree", "ministr", "not available", "unavailable", "warning"),
    *("заблок", "блокир", "ограничен", "запрещ", "доступ", "недоступ", "реестр", "министерств"),
    *("решени", "закон", "предупрежд", "бұғат", "шектел", "тыйым", "рұқсат", "қолжетім", "заң"),
    *("engellen", "yasak", "مسدود", "فیلتر", "محجوب", "封锁", "屏蔽"),
)
# Words that servers use in their own refusals and outages.
_OF_SERVERS = frozenset(
    {"denied", "forbid", "not available", "unavailable", "warning", "доступ", "недоступ"}
    | {"предупрежд", "рұқсат", "қолжетім"}
)
_ELSEWHERE = re.compile(
    r"<i?frame\b[^>]*\bsrc=|http-equiv=.?refresh|\blocation(\.href)?\s*=|\blocation\.replace\(",
    re.IGNORECASE,
)
_SHORT = 1500
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def reads_like_blockpage(page: Http) -> bool:
    """The page writes about blocking, or is little more than a redirect to another page."""
    source = text(page)
    if any(word in _shown(page) for word in _WORDS):
        return True
    return len(source) <= _SHORT and _ELSEWHERE.search(source) is not None


def reads_like_an_order(page: Http) -> bool:
    """The page has words that a server does not use in its own refusals."""
    return any(word in _shown(page) for word in _WORDS if word not in _OF_SERVERS)


def _shown(page: Http) -> str:
    return f"{page.title or ''} {_TAGS.sub(' ', text(page))}".casefold()


def text(page: Http) -> str:
    """The beginning of an unproven page, decoded as UTF-8, else as Windows-1251 (Cyrillic)."""
    try:
        raw = base64.b64decode(page.body or "")
    except ValueError:
        return ""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    whole = raw.decode("utf-8", "ignore")
    # A character cut at the end loses up to three bytes; a wrong encoding loses every letter.
    return whole if len(whole.encode()) >= len(raw) - 3 else raw.decode("cp1251", "replace")
