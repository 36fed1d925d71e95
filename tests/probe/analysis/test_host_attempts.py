"""The attempts of one kind, in the order of time."""

from hypothesis import given, strategies as st

from probe.analysis.host_attempts import Attempts, HostAttempt, Texts
from probe.failure import Failure

_SIGNS = ("ok", Failure.RESET, "key ff")
_FOUND = st.builds(
    HostAttempt,
    st.integers(0, 20).map(float),
    st.sampled_from(("a.kz", "b.kz", "c.kz")),
    st.sampled_from(("", "192.0.2.1")),
    st.sampled_from(_SIGNS),
)


@given(st.lists(_FOUND, max_size=30), st.integers(-1, 21), st.integers(-1, 21))
def test_attempts_come_back_in_the_order_of_time(
    found: list[HostAttempt], first: int, last: int
) -> None:
    texts = Texts()
    known = Attempts(texts)
    for one in found:
        known.add(one)
    known.sort()
    texts.complete()
    assert list(known) == sorted(found)
    assert known.hosts == len({one.host for one in found})
    begin, end = known.between(first, last)
    chosen = [known.at(index) for index in range(begin, end)]
    assert chosen == sorted(one for one in found if first <= one.at <= last)
