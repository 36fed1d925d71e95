"""The explorer in a real browser: it fits phones and wide screens, and everybody can read it.

Skipped where there is no Chromium; what axe-core checks is skipped where that is not installed.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from collector.web.languages import LANGUAGES
from tests.collector.harness import collector
from tests.collector.web import world
from tests.collector.web.browser import BROWSER, Scheme, Tab, browser
from tools.screenshots import PAGES

pytestmark = [pytest.mark.skipif(BROWSER is None, reason="no chromium"), pytest.mark.slow]
WIDE: tuple[int, ...] = (390, 1400)
# What stands out of the page on the right, unless it scrolls in a box of its own.
OUTSIDE = """[...document.querySelectorAll("body *")].filter(one => !one.closest(".box, .sr, .skip")
  && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(one => one.tagName + "." + (one.className.baseVal ?? one.className)).concat(
  document.documentElement.scrollWidth > document.documentElement.clientWidth ? ["page"] : [])"""
CHECK = """axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}).then(
  found => found.violations.flatMap(one => one.nodes.map(
    node => one.id + ": " + node.html.slice(0, 150) + " " + node.failureSummary)))"""


def axe() -> str | None:
    """The text of axe-core: that of the package, or of a newer file that $AXE_CORE names."""
    named = os.environ.get("AXE_CORE")
    found = find_spec("axe_core_python")
    if named:
        return Path(named).read_text()
    if found is None or found.origin is None:
        return None
    return (Path(found.origin).parent / "axe.min.js").read_text()


def on_every_page(
    folder: Path,
    check: Callable[[Tab], Awaitable[list[Any]]],
    schemes: tuple[Scheme, ...],
    languages: tuple[str, ...] = tuple(LANGUAGES),
    **options: Any,
) -> dict[str, list[Any]]:
    """What a check finds on each page, for each width, scheme and language."""
    found: dict[str, list[Any]] = {}

    async def scenario() -> None:
        async with collector(folder, public_min_probes=3) as harness, browser() as tab:
            for width in WIDE:
                for scheme in schemes:
                    await tab.show(width, scheme, **options)
                    for name, path in PAGES.items():
                        for language in languages:
                            await tab.go(f"{harness.url}{path}", language)
                            wrong = await check(tab)
                            if wrong:
                                found[f"{name} {width} {scheme} {language}"] = wrong

    asyncio.run(scenario())
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world.make(tmp_path, time.time())
    return tmp_path


def test_pages_fit_without_scripts(folder: Path) -> None:
    async def outside(tab: Tab) -> list[Any]:
        found = await tab.run(OUTSIDE)
        assert isinstance(found, list)
        return found

    # A scheme changes colours only.
    assert on_every_page(folder, outside, ("light",), scripts=False) == {}


def test_pages_are_accessible(folder: Path) -> None:
    script = axe()
    if script is None:
        pytest.skip("no axe-core: pip install axe-core-python")

    async def violations(tab: Tab) -> list[Any]:
        await tab.run(script)
        found = await tab.run(CHECK)
        assert isinstance(found, list)
        return found

    # Each scheme in one language: the words change nothing that axe looks at.
    assert on_every_page(folder, violations, ("light",), ("ru",)) == {}
    assert on_every_page(folder, violations, ("dark",), ("kk",)) == {}
