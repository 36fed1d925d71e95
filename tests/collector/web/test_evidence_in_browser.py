"""Pages of events, waves, interceptions and outages in a real browser: they fit, for everybody.

Skipped where there is no Chromium; what axe-core checks is skipped where that is not installed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collector.harness import collector
from tests.collector.web.browser import BROWSER, Scheme, Tab, browser
from tests.collector.web.evidence import fill
from tests.collector.web.test_explorer_in_browser import CHECK, OUTSIDE, WIDE, axe

pytestmark = [pytest.mark.skipif(BROWSER is None, reason="no chromium"), pytest.mark.slow]
LOOKS: tuple[tuple[Scheme, str], ...] = (("light", "ru"), ("dark", "kk"))


def on_every_page(
    folder: Path, check: Callable[[Tab], Awaitable[Any]], *, scripts: bool
) -> dict[str, Any]:
    """What a check finds on each page, for each width and scheme, with and without probes."""
    found: dict[str, Any] = {}

    async def scenario(least: int) -> None:
        (folder / str(least)).mkdir()
        options: dict[str, Any] = {"public_min_probes": least, "lab": True}
        async with collector(folder / str(least), **options) as harness, browser() as tab:
            pages = (await fill(harness)).pages()
            for width in WIDE:
                for scheme, language in LOOKS:
                    await tab.show(width, scheme, scripts=scripts)
                    for name, path in pages.items():
                        await tab.go(harness.url + path, language)
                        if wrong := await check(tab):
                            found[f"{name} {least} {width} {scheme} {language}"] = wrong

    for least in (1, 9):
        asyncio.run(scenario(least))
    return found


def test_pages_fit_without_scripts(tmp_path: Path) -> None:
    async def outside(tab: Tab) -> Any:
        return await tab.run(OUTSIDE)

    assert on_every_page(tmp_path, outside, scripts=False) == {}


def test_pages_are_accessible(tmp_path: Path) -> None:
    script = axe()
    if script is None:
        pytest.skip("no axe-core: pip install axe-core-python")

    async def violations(tab: Tab) -> Any:
        await tab.run(script)
        return await tab.run(CHECK)

    assert on_every_page(tmp_path, violations, scripts=True) == {}
