"""The systemd units: what an installed one, the packaged one and the one on the page have."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.admin import schedule
from probe.admin.systemd import ALWAYS, IN_USER_NAMESPACE, LIMITS, NO_ALARM, service
from probe.admin.timers import DEFAULT_PERIOD, TimerJob
from probe.errors import Exit
from tools import commands_docs

ROOT = Path(__file__).parents[1]
PACKAGED = ROOT / "packaging/systemd"
CONFIG = PACKAGED.parent / "qazcollector.toml"
PAGE = ROOT / "docs/cron.md"
RUN = TimerJob(("/usr/bin/qazprobe", "run", "--quiet"), DEFAULT_PERIOD, 7 * 60)
# Highest exposure that a unit may have, by systemd-analyze.
EXPOSURE = 5.0


def blocks() -> Iterator[str]:
    """The two files of the page's unit."""
    yield from re.findall(
        r"^```ini\n# ~/[^\n]*\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )


def options(unit: str) -> list[str]:
    """The options of a unit, without the ones that differ from machine to machine."""
    own = ("ExecStart=", "Description=", "Environment=", "#")
    return sorted(line for line in unit.splitlines() if "=" in line and not line.startswith(own))


def analyse(folder: Path, unit: str, *, user: bool) -> float:
    analyser = shutil.which("systemd-analyze")
    if analyser is None:
        pytest.skip("systemd-analyze is not installed")
    file = folder / "qazprobe.service"
    file.write_text(unit)
    command = [analyser, *(["--user"] if user else []), "security", "--offline=true", "--no-pager"]
    done = subprocess.run(
        [*command, str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XDG_RUNTIME_DIR": str(folder), "LC_ALL": "C.UTF-8"},
    )
    if "Unknown option" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze is older than 250")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


def test_the_installed_service_is_confined(tmp_path: Path) -> None:
    unit = service(RUN, (*ALWAYS, *IN_USER_NAMESPACE))
    assert analyse(tmp_path, unit, user=True) < EXPOSURE


def test_the_packaged_service_is_confined(tmp_path: Path) -> None:
    unit = (PACKAGED / "qazprobe.service").read_text()
    assert analyse(tmp_path, unit, user=False) < 2.0
    wanted = {*ALWAYS, *LIMITS, NO_ALARM, f"TimeoutStartSec={DEFAULT_PERIOD}"}
    assert wanted <= set(options(unit))
    sparing = schedule.run_job(("--unmetered-only", "--min-battery", "30"), DEFAULT_PERIOD)
    words = sparing.command[sparing.command.index("run") :]
    assert f"ExecStart=/usr/bin/qazprobe {' '.join(words)}\n" in unit


@pytest.mark.parametrize("name", ["qazcollector", "qazcollector-maintenance"])
def test_the_packaged_collector_is_confined(tmp_path: Path, name: str) -> None:
    assert analyse(tmp_path, (PACKAGED / f"{name}.service").read_text(), user=False) < 2.0


@pytest.mark.parametrize("unit", sorted(PACKAGED.glob("*.service")), ids=lambda path: path.name)
def test_a_unit_starts_commands_that_exist(unit: Path) -> None:
    commands = dict(commands_docs.programs())
    started = re.findall(r"^ExecStart=/usr/bin/(.+)$", unit.read_text(), re.MULTILINE)
    assert started
    for program, name, *words in map(str.split, started):
        # It parses its words as the program would, and rejects an unknown option or configuration.
        known = [str(CONFIG) if word == "/etc/qazcollector.toml" else word for word in words]
        commands[f"{program} {name}"].make_context(name, known, resilient_parsing=False)


def test_systemd_knows_every_option(tmp_path: Path) -> None:
    analyser = shutil.which("systemd-analyze")
    if analyser is None:
        pytest.skip("systemd-analyze is not installed")
    kinds = {".service", ".socket", ".timer"}
    units = [path for path in PACKAGED.iterdir() if path.suffix in kinds]
    copies = [tmp_path / path.name for path in units]
    for path, copy in zip(units, copies, strict=True):
        copy.write_text(path.read_text())
    done = subprocess.run(
        [analyser, "verify", *map(str, copies)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not re.search("Unknown|Failed to parse|Invalid", done.stderr), done.stderr


def test_the_unit_on_the_page_is_the_installed_one() -> None:
    shown_service, shown_timer = blocks()
    text = schedule.BACKENDS["systemd"].render(RUN)
    installed_timer = text.split(".timer\n")[1]
    assert options(shown_service) == options(service(RUN, (*ALWAYS, *IN_USER_NAMESPACE)))
    # The page has a fixed time where an installation draws one.
    assert [line for line in options(shown_timer) if "OnCalendar" not in line] == [
        line for line in options(installed_timer) if "OnCalendar" not in line
    ]


def test_the_page_and_the_units_know_every_exit_code() -> None:
    alarms = {Exit.BUG, Exit.USAGE}
    quiet = {int(code) for code in NO_ALARM.partition("=")[2].split()}
    assert quiet == {int(code) for code in Exit} - alarms - {Exit.DONE}
    table = re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert {int(code) for code in table} == {int(code) for code in Exit}
