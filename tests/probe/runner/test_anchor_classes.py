"""The classes of configured anchors."""

import pytest

from probe import reference_data
from probe.errors import UserError
from probe.experiments.interface import Reference
from probe.runner import anchor_classes


@pytest.mark.parametrize(
    ("text", "foreign", "essential"),
    [
        ("https://site.example foreign", True, False),
        ("https://site.example domestic", False, False),
        (" https://site.example   essential ", False, True),
        ("https://site.example", None, False),  # nobody knows: it counts for neither
        ("https://site.kz", False, False),  # the registry requires servers in the country
        ("https://xn--e1afmkfd.xn--80ao21a/", False, False),
        ("https://kz.example", None, False),
        ("https://site.kz foreign", True, False),  # what is said wins
    ],
)
def test_the_class_is_said_or_follows_from_the_host(
    text: str,
    foreign: bool | None,  # noqa: FBT001 - a column of the table
    essential: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = anchor_classes.configured(text)
    assert (found.foreign, found.essential) == (foreign, essential)


def test_a_configured_anchor_that_is_bundled_has_its_class_however_it_is_written() -> None:
    for one in reference_data.anchors():
        bare = one.url.replace("://www.", "://").rstrip("/")
        found = anchor_classes.configured(bare)
        assert (found.foreign, found.essential) == (one.foreign, one.essential)
    assert anchor_classes.configured("https://amnesty.org").foreign is True  # a control of a list
    assert anchor_classes.bundled()[0] == Reference(
        (first := reference_data.anchors()[0]).url, None, first.foreign, essential=first.essential
    )


@pytest.mark.parametrize("text", ["https://a.kz abroad", "https://a.kz foreign domestic"])
def test_an_unknown_class_is_an_error_that_says_the_known_ones(text: str) -> None:
    with pytest.raises(UserError, match="foreign, domestic, essential"):
        anchor_classes.configured(text)


@pytest.mark.parametrize("text", ["ftp://x", "", "  "])
def test_an_unusable_url_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="anchors"):
        anchor_classes.configured(text)
