"""How large the store is and how much room is left, as they are at each scrape."""

import shutil
from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.metrics import store_files


def served(url: str) -> CollectorRegistry:
    registry = CollectorRegistry()
    store_files.register(registry, url)
    return registry


def test_the_size_is_that_of_the_file_and_what_waits_to_be_put_into_it(tmp_path: Path) -> None:
    registry = served(f"sqlite:///{tmp_path}/store.sqlite3")
    assert registry.get_sample_value("qazcollector_store_bytes") == 0
    (tmp_path / "store.sqlite3").write_bytes(b"x" * 4096)
    (tmp_path / "store.sqlite3-wal").write_bytes(b"x" * 100)
    assert registry.get_sample_value("qazcollector_store_bytes") == 4196


def test_the_room_is_that_of_the_stores_file_system(tmp_path: Path) -> None:
    registry = served(f"sqlite:///{tmp_path}/store.sqlite3")
    room = registry.get_sample_value("qazcollector_disk_free_bytes")
    assert room is not None
    assert 0 < room <= shutil.disk_usage(tmp_path).total


def test_a_folder_that_is_gone_has_no_size_and_the_others_are_served(tmp_path: Path) -> None:
    registry = served(f"sqlite:///{tmp_path}/gone/store.sqlite3")
    room = registry.get_sample_value("qazcollector_disk_free_bytes")
    assert room is not None
    assert room != room  # noqa: PLR0124 - not a number


def test_a_store_without_files_is_left_to_its_own_metrics() -> None:
    registry = served("postgresql://qazprobe@127.0.0.1/qazprobe")
    assert [*registry.collect()] == []
