"""Whether a page reads like a notice that something is blocked: a sign, never a proof.

Operators write their own, so no list of such pages is ever whole. What they have in common is what
they are about, and how they are made: a few words, or a frame or a script that fetches the words
from elsewhere. A page that a site made for its visitors here is about something else.
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
_ELSEWHERE = re.compile(
    r"<i?frame\b[^>]*\bsrc=|http-equiv=.?refresh|\blocation(\.href)?\s*=|\blocation\.replace\(",
    re.IGNORECASE,
)
_SHORT = 1500
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def reads_like_blockpage(page: Http) -> bool:
    """It speaks of blocking, or is nearly nothing but a way to somebody else's page."""
    source = text(page)
    said = f"{page.title or ''} {_TAGS.sub(' ', source)}".casefold()
    if any(word in said for word in _WORDS):
        return True
    return len(source) <= _SHORT and _ELSEWHERE.search(source) is not None


def text(page: Http) -> str:
    """The beginning of an unproven page; in the old Cyrillic code where it is no UTF-8."""
    try:
        raw = base64.b64decode(page.body or "")
    except ValueError:
        return ""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    whole = raw.decode("utf-8", "ignore")
    # A character cut in two at the end costs a byte or three; another code costs every letter.
    return whole if len(whole.encode()) >= len(raw) - 3 else raw.decode("cp1251", "replace")
