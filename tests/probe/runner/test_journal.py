"""Held records survive a kill, a torn line and a full disk."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe import codec
from probe.runner.journal import FILE, Journal
from tests.build import record


def test_a_record_replaces_earlier_ones_and_can_be_released(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first, second = replace(record(), id="a"), replace(record(), id="b")
    journal.hold(first)
    journal.hold(second)
    journal.hold(replace(first, elapsed=9.0))
    journal.release("b")
    (left,) = Journal(tmp_path).held()
    assert (left.id, left.elapsed) == ("a", 9.0)
    journal.clear()
    journal.clear()
    assert Journal(tmp_path).held() == ()


@given(cut=st.integers(0, 2000))
def test_a_torn_line_loses_only_its_own_record(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("home")
    journal = Journal(folder)
    journal.hold(replace(record(), id="a"))
    whole = (folder / FILE).stat().st_size
    journal.hold(replace(record(), id="b"))
    data = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(data[: max(whole, len(data) - cut)])
    journal.hold(replace(record(), id="c"))
    found = {one.id for one in journal.held()}
    assert {"a", "c"} <= found <= {"a", "b", "c"}


def test_the_file_is_private(tmp_path: Path) -> None:
    Journal(tmp_path).hold(record())
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    assert codec.encode(record()) in (tmp_path / FILE).read_bytes()
