"""The page of a report in a real browser: it fits every width, and prints.

Skipped where there is no Chromium.
"""

import re
from pathlib import Path

import pytest

from tests.collector.report.conftest import written
from tests.probe.report.test_report_in_browser import BROWSER, COLLECT, browse

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium")
WIDTHS = (320, 390, 700, 794, 1400)
# What stands out of the page on the right; wide charts are scrolled in a box of their own.
SPY = """<script>parent.postMessage(innerWidth + ": " + [...document.querySelectorAll("body *")]
.filter(one => !one.closest(".wide > *") && !one.closest("thead")
  && one.getBoundingClientRect().right > innerWidth + 1)
.map(one => one.tagName + "." + one.className).join(" "), "*")</script></body>"""


@pytest.mark.parametrize("language", ["en", "ru", "kk"])
def test_nothing_stands_out_at_any_width(language: str, store_url: str, tmp_path: Path) -> None:
    page = (written(store_url, tmp_path / "kz", "--lang", language) / "report.html").read_text()
    page = re.sub("<meta http-equiv[^>]*>", "", page)
    (tmp_path / "page.html").write_text(page.replace("</body>", SPY))
    frames = "".join(f'<iframe src="page.html" width="{wide}"></iframe>' for wide in WIDTHS)
    (tmp_path / "frames.html").write_text(COLLECT + frames)
    seen = browse(tmp_path, "--virtual-time-budget=5000", "--dump-dom", "frames.html")
    found = re.findall(r"^(?:.*>)?\[(\d+: .*)\]$", seen, flags=re.MULTILINE)
    assert sorted(found) == sorted(f"{wide}: " for wide in WIDTHS)


def test_it_prints(folder: Path, tmp_path: Path) -> None:
    printed = tmp_path / "report.pdf"
    browse(tmp_path, f"--print-to-pdf={printed}", (folder / "report.html").as_uri())
    assert printed.read_bytes().startswith(b"%PDF")
