"""The report in a real browser: it fits every width, and its evidence is printed.

Skipped where there is no Chromium.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import i18n
from probe.model import Mechanism, Outcome, Record
from probe.report.report import html
from tests.probe import sample
from tests.probe.report.test_report import RECORDS

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium")
WIDTHS = (360, 400, 800, 900, 1400)
# What stands out of the page on the right.
SPY = """<script>parent.postMessage(innerWidth + ": " + [...document.querySelectorAll("*")]
.filter(one => one.getBoundingClientRect().right > innerWidth + 1)
.map(one => one.tagName + "." + one.className).join(" "), "*")</script></body>"""
COLLECT = """<pre id="found"></pre><script>
onmessage = event => { found.textContent += "[" + event.data + "]\\n" }</script>"""


def hostile() -> list[Record]:
    long = sample.record(
        "x",
        outcome=Outcome.BLOCKED,
        mechanisms=tuple(Mechanism)[:9],
        reason="word" * 100,
        url=f"https://{'a' * 200}/{'b' * 80}",
    )
    vantage = replace(sample.KAZAKHTELECOM, network="network" * 30)
    return [replace(long, vantage=vantage, category="C" * 40), sample.hostile(), *RECORDS]


def browse(folder: Path, *options: str) -> str:
    assert BROWSER is not None
    argv = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/u"]
    done = subprocess.run(
        [*argv, *options], capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )
    return done.stdout


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_nothing_stands_out_at_any_width(language: str, tmp_path: Path) -> None:
    i18n.use(language)
    try:
        page = html(hostile(), made="now")
    finally:
        i18n.use("en")
    page = re.sub("<meta http-equiv[^>]*>", "", page).replace("<details>", "<details open>")
    (tmp_path / "page.html").write_text(page.replace("</body>", SPY))
    frames = "".join(f'<iframe src="page.html" width="{wide}"></iframe>' for wide in WIDTHS)
    (tmp_path / "frames.html").write_text(COLLECT + frames)
    seen = browse(tmp_path, "--virtual-time-budget=5000", "--dump-dom", "frames.html")
    found = re.findall(r"^(?:.*>)?\[(\d+: .*)\]$", seen, flags=re.MULTILINE)
    assert sorted(found) == sorted(f"{wide}: " for wide in WIDTHS)


def test_closed_evidence_is_printed(tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext")
    (tmp_path / "page.html").write_text(html(RECORDS, made="now"))
    browse(tmp_path, f"--print-to-pdf={tmp_path}/page.pdf", "page.html")
    text = subprocess.run(
        ["pdftotext", "-layout", "page.pdf", "-"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    assert text.count("Observations in order") == 3  # the fourth has no steps
    assert "TLS handshake with 192.0.2.2" in text
