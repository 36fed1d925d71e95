"""Batches: what is refused before any line of it is read."""

import gzip

import pytest

from probe import codec


def test_empty_lines_are_passed_over() -> None:
    assert list(codec.unpack(gzip.compress(b"\n\na\n\nb\nc"))) == [b"a", b"b", b"c"]


def test_a_batch_of_millions_of_empty_lines_is_refused() -> None:
    """A loop over them would occupy the collector for half a minute."""
    assert list(codec.unpack(gzip.compress(b"\n" * 10**6))) == []
    within = b"a" + b"\n" * codec.LINES_LIMIT + b"b"
    assert list(codec.unpack(gzip.compress(within))) == [b"a", b"b"]
    with pytest.raises(codec.CodecError, match="more than 50000 lines"):
        codec.unpack(gzip.compress(b"\n" + within.replace(b"a", b"a\n")))
