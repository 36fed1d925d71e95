"""Shells complete commands and options by the scripts that click prints (docs/volunteer.md)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Fills in what bash would before it calls the function that completes.
ASK = """
eval "$(_QAZPROBE_COMPLETE=bash_source qazprobe)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
$(complete -p qazprobe | sed 's/.*-F \\([^ ]*\\).*/\\1/') qazprobe "${COMP_WORDS[-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A PATH with the command, and an empty home."""
    command = tmp_path / "bin" / "qazprobe"
    command.parent.mkdir()
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from probe.cli import main\nmain()\n",
        encoding="utf-8",
    )
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.defpath])
    return {"PATH": path, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}


def complete(environment: dict[str, str], *words: str) -> list[str]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    done = subprocess.run(
        [bash, "--norc", "-c", ASK, "bash", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("qazprobe", "con"), {"consent", "config"}),
        (("qazprobe", "run", "--dry"), {"--dry-run"}),
        (("qazprobe", "run", "--profile", ""), {"quick", "full", "watch"}),
        (("qazprobe", "results", ""), {"list", "show", "report", "export"}),
    ],
)
def test_bash_completes(
    environment: dict[str, str], words: tuple[str, ...], expected: set[str]
) -> None:
    found = set(complete(environment, *words))
    assert expected <= found
    assert len(found) < len(expected) + 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(environment: dict[str, str], shell: str) -> None:
    made = subprocess.run(
        ["qazprobe"],
        env={**environment, "_QAZPROBE_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "_QAZPROBE_COMPLETE" in made.stdout
    assert made.stderr == ""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=made.stdout, text=True, check=True, timeout=60)


def test_completing_leaves_nothing_in_the_home(environment: dict[str, str], tmp_path: Path) -> None:
    complete(environment, "qazprobe", "targets", "")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
