"""Risk notices are shown once, and only for experiments and lists that have one."""

from pathlib import Path

from probe import reference_data, targets
from probe.config import Settings
from probe.experiments import load
from probe.report import risk_notice


def test_a_notice_is_shown_once(tmp_path: Path) -> None:
    settings = Settings(experiments=("web", "tor"), targets=("vpn",))
    shown = risk_notice.due(settings, tmp_path)
    assert [line.split(" contacts")[0] for line in shown] == ["-e tor", "--targets vpn"]
    assert risk_notice.due(settings, tmp_path) == ()
    (more,) = risk_notice.due(Settings(experiments=("tor", "wireguard")), tmp_path)
    assert more.startswith("-e wireguard ")


def test_other_experiments_have_no_notice(tmp_path: Path) -> None:
    assert risk_notice.due(Settings(experiments=("web", "telegram")), tmp_path) == ()
    assert not (tmp_path / risk_notice.FILE).exists()


def test_an_unreadable_file_shows_it_again(tmp_path: Path) -> None:
    (tmp_path / risk_notice.FILE).write_bytes(b"{")
    assert risk_notice.due(Settings(experiments=("tor",)), tmp_path)
    assert not risk_notice.due(Settings(experiments=("tor",)), tmp_path)


def test_notices_name_existing_experiments_and_lists() -> None:
    for one in reference_data.risk_notices():
        assert set(one.experiments) <= set(load())
        assert set(one.lists) <= set(targets.list_names())
        assert "docs/volunteer.md" in one.text
