"""The real tools, from the settings."""

import pytest

from probe import known
from probe.config import Settings
from probe.job import outfit
from probe.trouble import Trouble


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("1.1.1.1", ("1.1.1.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("2606:4700::1111", ("2606:4700::1111", 53)),
        ("[2606:4700::1111]:5353", ("2606:4700::1111", 5353)),
        ("[2606:4700::1111]", ("2606:4700::1111", 53)),
    ],
)
def test_resolvers_are_read(text: str | None, expected: tuple[str, int] | None) -> None:
    assert outfit.resolver_of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "dns.example", "1.1.1.1:0", "1.1.1.1:65536", "1.1.1", "[]:53"]
)
def test_what_is_no_resolver_is_trouble(text: str) -> None:
    with pytest.raises(Trouble, match="--resolver"):
        outfit.resolver_of(text)


def test_anchors_and_resolvers_are_the_bundled_ones_unless_others_were_chosen() -> None:
    assert len(outfit.anchors(Settings())) == len(known.anchors())
    assert outfit.anchors(Settings(anchors=("none",))) == ()
    assert outfit.anchors(Settings(anchors=("https://A.kz",)))[0].url == "https://a.kz/"
    assert outfit.public_resolvers(Settings()) == tuple(known.public_resolvers())
    assert outfit.public_resolvers(Settings(resolvers=("none",))) == ()
    (chosen,) = outfit.public_resolvers(Settings(resolvers=("9.9.9.9:5353",)))
    assert (chosen.label, chosen.port, chosen.transport) == ("9.9.9.9", 5353, "udp")
    with pytest.raises(Trouble, match="anchors"):
        outfit.anchors(Settings(anchors=("ftp://x",)))


def test_only_a_laboratory_is_in_a_hurry() -> None:
    assert outfit.session_settings(Settings()).spacing > 0
    assert outfit.session_settings(Settings(lab=True)).spacing == 0
