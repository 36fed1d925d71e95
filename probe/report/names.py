"""Host names as people write them: `xn--d1acpjx3f.xn--p1ai` is shown as `яндекс.рф`.

A label is decoded only if it cannot pass for another one: letters of one script that is written
from left to right, no combining marks, and not made only of letters that look Latin. Every other
label stays as it is in DNS.
"""

import unicodedata
from functools import lru_cache

from probe.ordering import SERVICE, host_of
from probe.urls import TargetError, ascii_host, parse_url

_PREFIX = "xn--"
_LONGEST_LABEL = 63
# Scripts written from left to right whose letters are told apart on a terminal. Greek, Armenian and
# others have too many letters that look Latin; Hebrew and Arabic would reorder the line.
_SCRIPTS = frozenset({"CYRILLIC", "GEORGIAN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "LATIN"})
# Japanese mixes these.
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA"})
# Latin letters with marks, of European alphabets. Without dotless i, kra and long s, which look
# like other letters.
_LATIN = frozenset(
    "àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿßāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĵķĺļľłńņňōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷźżž"
)
# Cyrillic letters that look like Latin ones: a label of these alone may imitate a Latin name.
_LOOK_LATIN = frozenset("асԁеһіјӏорԛѕԝхуъьҽпгѵѡүԍӕ")
_IMITATED_WITH = frozenset("0123456789-")


@lru_cache(maxsize=4096)
def shown_host(host: str) -> str:
    """Return a host with its labels decoded where that is safe."""
    if _PREFIX not in host:
        return host
    labels = host.split(".")
    decoded = [_decoded(label) for label in labels]
    # Under a Cyrillic domain, Cyrillic letters imitate nothing.
    cyrillic = _script(decoded[-1]) == "CYRILLIC"
    return ".".join(
        label if _imitates_latin(new) and not cyrillic else new
        for label, new in zip(labels, decoded, strict=True)
    )


def shown_url(url: str) -> str:
    """Return a target as people write it; a service and an odd text stay as they are."""
    scheme, mark, rest = url.partition("://")
    if not mark or _PREFIX not in rest:
        return url
    cut = min((at for at in (rest.find(sign) for sign in ":/?") if at >= 0), default=len(rest))
    return f"{scheme}://{shown_host(rest[:cut])}{rest[cut:]}"


def spellings(wanted: str) -> frozenset[str]:
    """Return the forms of a URL or host, as a user types it, that a record's input may have."""
    text = wanted.strip()
    found = {text, text.rstrip("/"), f"{SERVICE}{text}"}
    try:
        if "://" in text:
            found.add(parse_url(text).rstrip("/"))
        else:
            host, mark, path = text.partition("/")
            found.add(f"{ascii_host(host)}{mark}{path}".rstrip("/"))
    except TargetError:
        pass  # it may be the id of a record
    return frozenset(found)


def answers_to(target: str, names: frozenset[str]) -> bool:
    """Whether one of these spellings means the target: its URL, without the scheme, or its host."""
    bare = target.partition("://")[2]
    forms = {target, bare, bare.partition("/")[0], host_of_or_none(target)}
    return any(form and form.rstrip("/") in names for form in forms)


def host_of_or_none(target: str) -> str | None:
    """Return the host of a URL; None for what is none, such as a service."""
    try:
        return host_of(target) or None
    except ValueError:  # a record from a file may hold anything
        return None


def _decoded(label: str) -> str:
    if not label.lower().startswith(_PREFIX) or len(label) > _LONGEST_LABEL:
        return label
    import idna

    try:
        text = idna.decode(label)
        same = idna.encode(text).decode("ascii") == label.lower()
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        return label
    return text if same and _script(text) is not None else label


def _script(text: str) -> str | None:
    """Return the only script of a text's letters; None if there are several, or unsafe ones."""
    scripts: set[str] = set()
    for char in text:
        if char in _IMITATED_WITH:
            continue
        script = unicodedata.name(char, "").partition(" ")[0].partition("-")[0]
        if script not in _SCRIPTS or not unicodedata.category(char).startswith("L"):
            return None
        if script == "LATIN" and not (char.isascii() or char in _LATIN):
            return None
        scripts.add("CJK" if script in _EAST_ASIAN else script)
    return scripts.pop() if len(scripts) == 1 else None


def _imitates_latin(text: str) -> bool:
    """Whether every letter of a label in Cyrillic looks like a Latin one."""
    return not text.isascii() and all(char in _LOOK_LATIN | _IMITATED_WITH for char in text)
