"""Pictures of the explorer's pages: `make screenshots` writes them to `screenshots/`.

One collector shows an invented country, another one events that rest on signed records; a real
browser is wide and narrow, light and dark, in three languages. Look at them after each change of
the pages. `python -m tools.screenshots NAME…` takes those of some pages.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from itertools import product
from pathlib import Path
from unittest import mock

from collector.web.languages import LANGUAGES
from probe import reference_data
from tests.collector.harness import CollectorHarness, collector
from tests.collector.web import evidence, world
from tests.collector.web.browser import BROWSER, Scheme, Tab, browser

FOLDER = Path(__file__).parents[1] / "screenshots"
PAGES = {
    "now": "/",
    "events": "/events",
    "site": "/site/video-tube.example",
    "intercepted": "/site/photos-and-friends.example",
    "network": "/network/9198",
    "category": "/category/NEWS",
    "interceptions": "/interceptions",
    "outages": "/outages",
    "refusal": "/site/unknown",
    "chart_history": "/site/video-tube.example/chart/history?asn=206026",
    "chart_speed": "/site/video-tube.example/chart/speed",
    "chart_matrix": "/chart/matrix",
    "chart_heard": "/chart/heard",
    "chart_reached": "/chart/reached",
}
LOOKS: tuple[tuple[int, Scheme], ...] = (
    (390, "light"),
    (390, "dark"),
    (1400, "light"),
    (1400, "dark"),
)


async def take(folder: Path, names: Collection[str]) -> int:
    """Write a picture of each page, or of those named, for each width, scheme and language."""
    async with browser() as tab:
        return await _of_world(tab, folder, names) + await _of_evidence(tab, folder, names)


async def _of_world(tab: Tab, folder: Path, names: Collection[str]) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        await asyncio.to_thread(world.make, Path(scratch), time.time())
        async with collector(Path(scratch), public_min_probes=3) as harness:
            return await _of_pages(tab, harness, PAGES, folder, names)


async def _of_evidence(tab: Tab, folder: Path, names: Collection[str]) -> int:
    """Events with looks and records, and a wave with an order that never was."""
    with tempfile.TemporaryDirectory() as scratch:
        async with collector(Path(scratch), lab=True, public_min_probes=1) as harness:
            known = await evidence.fill(harness)
            order = await evidence.order(harness)
            pages = {f"evidence_{name}": path for name, path in known.pages().items()}
            with mock.patch.object(reference_data, "orders", return_value=(order,)):
                return await _of_pages(tab, harness, pages, folder, names)


async def _of_pages(
    tab: Tab,
    harness: CollectorHarness,
    pages: Mapping[str, str],
    folder: Path,
    names: Collection[str],
) -> int:
    wanted = {name: path for name, path in pages.items() if not names or name in names}
    for width, scheme in LOOKS:
        await tab.show(width, scheme, scripts=False)
        for (name, path), language in product(wanted.items(), LANGUAGES):
            await tab.go(f"{harness.url}{path}", language)
            file = folder / f"{name}-{width}-{scheme}-{language}.png"
            file.write_bytes(await tab.picture())
    return len(wanted) * len(LOOKS) * len(LANGUAGES)


def main(names: list[str]) -> int:
    """Take the pictures of all pages, or of those named."""
    if BROWSER is None:
        print("no chromium: apt-get install chromium", file=sys.stderr)  # noqa: T201 - a command
        return 1
    FOLDER.mkdir(exist_ok=True)
    made = asyncio.run(take(FOLDER, names))
    print(f"{made} pictures in {FOLDER}")  # noqa: T201 - a command
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
