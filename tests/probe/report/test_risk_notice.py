"""What is said once, and to whom it need not be said."""

from pathlib import Path

from probe import reference_data, targets
from probe.config import Settings
from probe.experiments import load
from probe.report import risk_notice


def test_it_is_said_once_on_a_machine(tmp_path: Path) -> None:
    settings = Settings(experiments=("web", "tor"), targets=("vpn",))
    said = risk_notice.due(settings, tmp_path)
    assert [line.split(" asks")[0] for line in said] == ["-e tor", "--targets vpn"]
    assert risk_notice.due(settings, tmp_path) == ()
    (more,) = risk_notice.due(Settings(experiments=("tor", "wireguard")), tmp_path)
    assert more.startswith("-e wireguard ")


def test_what_needs_no_thought_is_not_mentioned(tmp_path: Path) -> None:
    assert risk_notice.due(Settings(experiments=("web", "telegram")), tmp_path) == ()
    assert not (tmp_path / risk_notice.FILE).exists()


def test_a_spoilt_file_says_it_again(tmp_path: Path) -> None:
    (tmp_path / risk_notice.FILE).write_bytes(b"{")
    assert risk_notice.due(Settings(experiments=("tor",)), tmp_path)
    assert not risk_notice.due(Settings(experiments=("tor",)), tmp_path)


def test_cautions_are_about_what_there_is() -> None:
    for one in reference_data.risk_notices():
        assert set(one.experiments) <= set(load())
        assert set(one.lists) <= set(targets.list_names())
        assert "docs/volunteer.md" in one.text
