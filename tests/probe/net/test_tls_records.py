"""How much of a TLS record is missing, however its bytes arrive."""

from hypothesis import given, settings, strategies as st

from probe.net.tls_records import RecordProgress


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=6),
    st.lists(st.integers(1, 400), min_size=1, max_size=8),
)
@settings(deadline=None)
def test_records_in_any_pieces(sizes: list[int], pieces: list[int]) -> None:
    wire = b"".join(map(record, sizes))
    ends = [sum(5 + size for size in sizes[: n + 1]) for n in range(len(sizes))]
    progress, at = RecordProgress(), 0
    for piece in [*pieces, len(wire)]:
        progress.take(wire[at : at + piece])
        at = min(at + piece, len(wire))
        start = max([0, *(end for end in ends if end <= at)])
        assert progress.begun == at - start
        known = at - start >= 5
        end = next((end for end in ends if end > at), at)
        assert progress.missing == (end - at if known else 0)


def test_any_bytes_are_taken() -> None:
    progress = RecordProgress()
    progress.take(b"\xff" * 40_000)
    assert 0 < progress.missing <= 65_535
