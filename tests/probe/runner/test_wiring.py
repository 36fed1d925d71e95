"""The real tools, from the settings."""

import pytest

from probe import reference_data
from probe.config import Settings
from probe.errors import UserError
from probe.runner import wiring


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
    assert wiring.resolver_of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "dns.example", "1.1.1.1:0", "1.1.1.1:65536", "1.1.1", "[]:53"]
)
def test_what_is_no_resolver_is_trouble(text: str) -> None:
    with pytest.raises(UserError, match="--resolver"):
        wiring.resolver_of(text)


def test_anchors_and_resolvers_are_the_bundled_ones_unless_others_were_chosen() -> None:
    assert len(wiring.anchors(Settings())) == len(reference_data.anchors())
    assert wiring.anchors(Settings(anchors=("none",))) == ()
    assert wiring.anchors(Settings(anchors=("https://A.kz",)))[0].url == "https://a.kz/"
    assert wiring.public_resolvers(Settings()) == tuple(reference_data.public_resolvers())
    assert wiring.public_resolvers(Settings(resolvers=("none",))) == ()
    (chosen,) = wiring.public_resolvers(Settings(resolvers=("9.9.9.9:5353",)))
    assert (chosen.label, chosen.port, chosen.transport) == ("9.9.9.9", 5353, "udp")
    with pytest.raises(UserError, match="anchors"):
        wiring.anchors(Settings(anchors=("ftp://x",)))


def test_only_a_laboratory_is_in_a_hurry() -> None:
    assert wiring.session_settings(Settings()).spacing > 0
    assert wiring.session_settings(Settings(lab=True)).spacing == 0
