"""Which of the configured anchors are in the country, and which are abroad.

In this order: what the configuration says after the URL, what the bundled lists know of the host,
and the country's own domain, whose registry requires servers in the country. The class of any other
site is unknown, unless the user's table of networks has its address (`connectivity`), and it counts
for neither: a domestic site taken for a foreign one would hide an outage of everything abroad.
"""

from collections.abc import Mapping
from functools import cache

from probe import reference_data, targets
from probe.errors import UserError
from probe.experiments.interface import Reference
from probe.i18n import _
from probe.ordering import host_of
from probe.reference_data import Anchor
from probe.urls import TargetError, parse_url

# What may follow a URL: whether the site is abroad, and whether a white list lets it through.
CLASSES: Mapping[str, tuple[bool, bool]] = {
    "foreign": (True, False),
    "domestic": (False, False),
    "essential": (False, True),
}
# Domains in which sites must be hosted in the country (rules of the .kz and .қаз registry).
_DOMESTIC_DOMAINS = (".kz", ".xn--80ao21a")


def bundled() -> tuple[Reference, ...]:
    """The bundled anchors."""
    return tuple(_reference(one) for one in reference_data.anchors())


def configured(text: str) -> Reference:
    """Read `URL` or `URL CLASS`, or raise `UserError`."""
    url, *words = text.split() or [text]
    try:
        parsed = parse_url(url)
    except TargetError as error:
        raise UserError(f"anchors: {error}") from error
    if not words:
        return _reference(_classified(parsed))
    if len(words) > 1 or words[0] not in CLASSES:
        expected = ", ".join(CLASSES)
        raise UserError(
            _("anchors: {text!r}; after the URL may follow one of: {expected}").format(
                text=text, expected=expected
            )
        )
    foreign, essential = CLASSES[words[0]]
    return _reference(Anchor(parsed, foreign=foreign, essential=essential))


def _classified(url: str) -> Anchor:
    """The class that follows from the host."""
    host = host_of(url)
    known = _known().get(host.removeprefix("www."))
    if known is not None:
        return Anchor(url, foreign=known.foreign, essential=known.essential)
    domestic = host.endswith(_DOMESTIC_DOMAINS)
    return Anchor(url, foreign=False if domestic else None, essential=False)


@cache
def _known() -> dict[str, Anchor]:
    """The sites whose country the bundled lists say, by host without `www.`."""
    purposes = {"control-international": True, "control-domestic": False}
    listed = [
        Anchor(one.url, foreign=purposes[one.purpose], essential=False)
        for name in targets.list_names()
        for one in targets.bundled(name)[0]
        if one.purpose in purposes
    ]
    return {
        host_of(one.url).removeprefix("www."): one for one in (*listed, *reference_data.anchors())
    }


def _reference(anchor: Anchor) -> Reference:
    return Reference(anchor.url, None, anchor.foreign, essential=anchor.essential)
