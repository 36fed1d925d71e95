"""Colours of outcomes and kinds: readable by WCAG AA, and different for colour-blind people too."""

import re
from itertools import combinations

import pytest

from collector.events import reconcile
from collector.web import rendering, words

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHTS = {
    "most people": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
# A distance in OKLab; two colours of 0.02 are hard to tell apart.
APART = 0.14
AA_TEXT, AA_SHAPE = 4.5, 3.0
PALE = {"ok", "inconclusive"}

Colour = tuple[float, float, float]


def schemes() -> dict[str, dict[str, Colour]]:
    """The colours of the style sheet, linear RGB, by scheme."""
    light, dark, *_ = re.findall(r":root\{(.*?)\}", rendering.style(rendering.PUBLIC), re.DOTALL)
    return {"light": _colours(light), "dark": _colours(dark)}


def _colours(text: str) -> dict[str, Colour]:
    return {name: _linear(value) for name, value in re.findall(r"--([\w-]+):#(\w+)", text)}


def _linear(text: str) -> Colour:
    full = "".join(one * 2 for one in text) if len(text) == 3 else text
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    r, g, b = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return r, g, b


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(colour: Colour) -> Colour:
    r, g, b = (min(1.0, max(0.0, one)) for one in colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def seen(colour: Colour, sight: str) -> Colour:
    r, g, b = (sum(x * y for x, y in zip(row, colour, strict=True)) for row in SIGHTS[sight])
    return oklab((r, g, b))


def distance(one: Colour, other: Colour, sight: str) -> float:
    pairs = zip(seen(one, sight), seen(other, sight), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)


def looks() -> list[str]:
    return sorted({*words.OUTCOMES, *words.LOOK_OF_KIND.values()})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_are_readable_on_their_colours(scheme: str) -> None:
    colours = schemes()[scheme]
    for name in looks():
        assert contrast(colours[name], colours[f"on-{name}"]) >= AA_TEXT, name
    loud = {*words.LOUD, *words.LOOK_OF_KIND.values()}
    assert [n for n in loud if contrast(colours[n], colours["page"]) < AA_SHAPE] == []
    for name in ("soft", "ink", "link"):
        assert contrast(colours[name], colours["page"]) >= AA_TEXT
        assert contrast(colours[name], colours["raised"]) >= AA_TEXT


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_differ_for_everybody(scheme: str, sight: str) -> None:
    colours = schemes()[scheme]
    pairs = [pair for pair in combinations(looks(), 2) if set(pair) != PALE]
    assert {
        pair: round(found, 3)
        for pair in pairs
        if (found := distance(colours[pair[0]], colours[pair[1]], sight)) < APART
    } == {}


def test_each_kind_and_outcome_has_a_letter_of_its_own_in_every_language() -> None:
    for language in ("en", "ru", "kk"):
        letter = rendering.environment(language).filters["letter"]
        assert len({letter(one) for one in looks()}) == len(looks()), language


def test_revisions_are_told_in_the_readers_words() -> None:
    assert set(words.REASONS) == {reconcile.GONE}
    told = rendering.environment("en").filters["told"]
    assert told("opened as confirmed") == "first told as: confirmed"
    assert told("confirmed → ended") == "confirmed → over"
    assert told("confirmed → withdrawn: a: b") == "confirmed → withdrawn: a: b"
    assert told("also by tls.reset, tls.eof") == "also by tls.reset, tls.eof"
    russian = rendering.environment("ru").filters["told"]
    for what in (
        *("opened as suspected", "suspected → confirmed", "authority qaznet-2019"),
        "confirmed → withdrawn: the measurements that remain do not show it",
        "measurements that came later moved the end",
    ):
        assert russian(what) != what
