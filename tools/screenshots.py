"""Pictures of the explorer's pages: `make screenshots` writes them to `screenshots/`.

The collector shows an invented country; a real browser is wide and narrow, light and dark, in three
languages. Look at them after each change of the pages.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from collector.web.languages import LANGUAGES
from tests.collector.harness import collector
from tests.collector.web import world
from tests.collector.web.browser import BROWSER, Scheme, browser

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
}
LOOKS: tuple[tuple[int, Scheme], ...] = (
    (390, "light"),
    (390, "dark"),
    (1400, "light"),
    (1400, "dark"),
)


async def take(folder: Path, pages: dict[str, str]) -> None:
    """Write a picture of each page for each width, scheme and language."""
    with tempfile.TemporaryDirectory() as scratch:
        await asyncio.to_thread(world.make, Path(scratch), time.time())
        async with collector(Path(scratch), public_min_probes=3) as harness, browser() as tab:
            for width, scheme in LOOKS:
                await tab.show(width, scheme, scripts=False)
                for name, path in pages.items():
                    for language in LANGUAGES:
                        await tab.go(f"{harness.url}{path}", language)
                        file = folder / f"{name}-{width}-{scheme}-{language}.png"
                        file.write_bytes(await tab.picture())


def main(names: list[str]) -> int:
    """Take the pictures of all pages, or of those named."""
    if BROWSER is None:
        print("no chromium: apt-get install chromium", file=sys.stderr)  # noqa: T201 - a command
        return 1
    FOLDER.mkdir(exist_ok=True)
    wanted = {name: path for name, path in PAGES.items() if not names or name in names}
    asyncio.run(take(FOLDER, wanted))
    print(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
