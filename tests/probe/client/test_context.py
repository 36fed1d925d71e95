"""The collectors that a run sends to and requests controls from."""

from pathlib import Path

from probe.client.context import assemble
from probe.config import Settings


def test_a_control_asks_no_controls(tmp_path: Path) -> None:
    collector = ("https://c.example",)
    probe = assemble(Settings(collector=collector), tmp_path)
    assert [one.url for one in probe.controls] == ["https://c.example"]
    control = assemble(Settings(collector=collector, role="control"), tmp_path)
    assert control.controls == ()
    assert len(control.collectors) == 1


def test_controls_may_be_asked_elsewhere_or_nowhere(tmp_path: Path) -> None:
    collector = ("https://c.example",)
    nowhere = assemble(Settings(collector=collector, control="none"), tmp_path)
    assert nowhere.controls == ()
    elsewhere = assemble(Settings(collector=collector, control="https://d.kz"), tmp_path)
    assert [one.url for one in elsewhere.controls] == ["https://d.kz"]
