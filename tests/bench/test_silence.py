"""A run on a path of several routers tells who stops the packets to a site that is silent."""

import pytest

from bench import silence
from probe.lab.testbed import unavailable_reason


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.skipif(
    unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
)
def test_the_network_is_named_for_its_boxes_and_for_no_server() -> None:
    found = {one["site"]: one for one in silence.run("chain", 1)}
    assert set(found) == set(silence.SITES)
    for site, kind in silence.SITES.items():
        one = found[site]
        if kind == "box":
            assert (one["outcome"], one["by"]) == ("blocked", "network")
            assert one["place"] == silence.PLACE
        else:
            assert (one["outcome"] != "blocked", one["by"] != "network") == (True, True)
