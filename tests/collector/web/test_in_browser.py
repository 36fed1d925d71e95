"""The operator's pages in a real browser: they fit every width, whatever they show.

Skipped where there is no Chromium.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from collector.admin.key_list import KeyOverview
from collector.admin.overview import Contradicted, Doubted, SetAside
from collector.api.operator_state import Group, StateLine
from collector.standing import KeyStanding
from collector.store.exclusions import Exclusion
from collector.web import rendering
from tests.probe.report.test_report_in_browser import BROWSER, COLLECT, browse

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium")
WIDTHS = (320, 390, 768, 960, 1280)
KEY, WORD = "0123456789abcdef" * 2, "word" * 50
# What stands out of the page on the right; the heads of cards are hidden.
SPY = """<script>parent.postMessage(innerWidth + ": " + [...document.querySelectorAll("body *")]
.filter(one => !one.closest("thead") && one.getBoundingClientRect().right > innerWidth + 1)
.map(one => one.tagName + "." + one.className).join(" "), "*")</script></body>"""
COMMON: dict[str, Any] = {"now": 1.8e9, "collector_id": KEY, "version": "1.0", "lab": True}


def collector_page() -> str:
    lines = (StateLine("records judged since the start", "1 000 000", "5 000 000", bad=True),)
    return rendering.render(
        "collector.html",
        **COMMON,
        groups=(Group("Workers", lines), Group("Limits", lines * 4)),
        troubles=("no waiting record was judged for two minutes", "the store refused a write"),
        straying=2,
        exclusions=[SetAside(KEY, 1.7e9, WORD, 1, 4000)],
        doubted=[Doubted(KEY, "chain timing addresses", 100_000, 1)],
        claims=[Contradicted(KEY, "KZ AS4294967295", "ZZ", voting=False, records=100_000)],
        among=20_000,
    )


def keys_page() -> str:
    standing = KeyStanding(KEY, "control", "open", "0123456789ab", KEY, 1.7e9, 3, 2, 9999, 1)
    aside = Exclusion(KEY, KEY, 1.7e9, WORD)
    return rendering.render(
        "keys.html",
        **COMMON,
        rows=[KeyOverview(standing, 1.7e9, "KZ", 4294967295, 1_000_000, aside)] * 2,
        shown=2,
        total=2,
        find=KEY,
        straying=False,
        underway=True,
        known=True,
        exclusion=None,
        proof="0" * 64,
    )


@pytest.mark.parametrize("page", [collector_page(), keys_page()], ids=["collector", "keys"])
def test_nothing_stands_out_at_any_width(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page.replace("</body>", SPY))
    frames = "".join(f'<iframe src="page.html" width="{wide}"></iframe>' for wide in WIDTHS)
    (tmp_path / "frames.html").write_text(COLLECT + frames)
    seen = browse(tmp_path, "--virtual-time-budget=5000", "--dump-dom", "frames.html")
    found = re.findall(r"^(?:.*>)?\[(\d+: .*)\]$", seen, flags=re.MULTILINE)
    assert sorted(found) == sorted(f"{wide}: " for wide in WIDTHS)
