"""`trace` on paths that mislead: nobody innocent is accused, and boxes are found.

Each situation once; `python -m bench.paths` repeats all of them.
"""

import pytest

from probe.lab.paths import SITUATIONS, PathSituation, groups, trace_all
from probe.lab.testbed import unavailable_reason

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]
# The other shapes are played by the benchmark only.
SHAPES = ("chain", "far_ways", "ttl_rewritten")
GROUPS = [
    group
    for (shape, line), group in groups(SITUATIONS).items()
    if shape.how in SHAPES and not line.loss
]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].shape.how)
def test_the_innocent_are_not_accused_and_boxes_are_found(group: list[PathSituation]) -> None:
    results = list(trace_all(group))
    assert {one.situation.name for one in results} == {one.name for one in group}
    assert [one for one in results if one.false_accusation] == []
    assert [one for one in results if not one.right] == []
