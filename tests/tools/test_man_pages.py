"""The manual pages say what the commands say, and every reader of them takes them."""

import shutil
import subprocess
from pathlib import Path

import click
import pytest

pytest.importorskip("collector.cli", reason="the collector's command needs its extra")

from tools import commands_docs, man_pages

PAGES = dict(man_pages.pages())
RENDERERS = {
    "groff": ("groff", "-man", "-ww", "-z", "-Tutf8"),
    "man": ("man", "--warnings=w", "-l"),
    "mandoc": ("mandoc", "-T", "lint"),
}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run make man"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
@pytest.mark.parametrize("name", RENDERERS)
def test_a_page_renders_without_warnings(name: str, path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [*RENDERERS[name], str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
    )
    told = done.stderr + (done.stdout if name == "mandoc" else "")
    assert (done.returncode, told) == (0, "")


def test_every_command_and_option_is_on_the_page_of_its_program() -> None:
    for path, command in commands_docs.programs():
        text = PAGES[man_pages.FOLDER / f"{path.split()[0]}.1"]
        assert f".B {man_pages.line(path)}\n" in text
        context = click.Context(command, info_name=path)
        for option in man_pages.option_list(command, context):
            assert f".TP\n.B {man_pages.term_line(option)}\n" in text, f"{path} {option}"


def test_no_sign_of_a_text_is_read_as_a_request() -> None:
    hostile = ".so /etc/passwd 'x' \\fB ~ ^ ` — …"
    made = man_pages.filled(hostile)
    assert made.startswith("\\&.so")
    assert made.isascii()
    assert "\\f" not in made.replace("\\efB", "")
