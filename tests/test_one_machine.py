"""A test marked `alone` runs while no other does; files with slow tests begin."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.one_machine import share_of_machine, slow_first

pytest.importorskip("fcntl")


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_one_alone_and_another_never_run_together(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: bool,  # noqa: FBT001 - whether it runs alone
    second: bool,  # noqa: FBT001 - the same
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    entered = threading.Event()

    def enter() -> None:
        with share_of_machine(alone=second):
            entered.set()

    with share_of_machine(alone=first):
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.2)
    other.join()
    assert entered.is_set()


def test_others_run_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    with share_of_machine(alone=False), share_of_machine(alone=False):
        assert any(tmp_path.iterdir())


@dataclass
class CollectedTest:
    path: Path
    marks: tuple[str, ...] = ()

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None


def test_files_with_slow_tests_begin_and_the_others_keep_their_order() -> None:
    quick = [CollectedTest(Path("quick.py")) for _ in range(3)]
    mixed = [CollectedTest(Path("mixed.py")), CollectedTest(Path("mixed.py"), ("slow",))]
    slow = [CollectedTest(Path("slow.py"), ("slow",)) for _ in range(2)]
    items: Any = [*quick, *mixed, *slow]
    slow_first(items)
    assert items == [*slow, *mixed, *quick]
