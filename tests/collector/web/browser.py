"""A real Chromium, spoken to by its DevTools protocol: phones, colour schemes, no scripts."""

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import aiohttp

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
Scheme = Literal["light", "dark"]
SECONDS = 60


class Tab:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)

    async def ask(self, method: str, **params: Any) -> Any:
        """Send a command, and wait for what it gives."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(SECONDS):
            while True:
                told = json.loads((await self._socket.receive()).data)
                if told.get("id") == number:
                    assert "error" not in told, (method, told)
                    return told["result"]

    async def _wait(self, event: str) -> None:
        async with asyncio.timeout(SECONDS):
            while json.loads((await self._socket.receive()).data).get("method") != event:
                pass

    async def show(self, width: int, scheme: Scheme, *, scripts: bool = True) -> None:
        """Be so wide, prefer this scheme, and run a page's own scripts or none."""
        await self.ask("Page.enable")
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 700,
        )
        preference = {"name": "prefers-color-scheme", "value": scheme}
        await self.ask("Emulation.setEmulatedMedia", features=[preference])
        await self.ask("Emulation.setScriptExecutionDisabled", value=not scripts)

    async def go(self, address: str, language: str = "en") -> None:
        """Open a page, and wait until it is there."""
        await self.ask("Network.enable")
        headers = {"Accept-Language": language}
        await self.ask("Network.setExtraHTTPHeaders", headers=headers)
        await self.ask("Page.navigate", url=address)
        await self._wait("Page.loadEventFired")

    async def run(self, script: str) -> Any:
        """What a script of ours gives, which is not one of the page's."""
        told = await self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def picture(self) -> bytes:
        """The whole page as PNG."""
        size = (await self.ask("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        told = await self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(told["data"])


@asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """A browser with one tab, until the context ends."""
    assert BROWSER is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as session:
                address = await _tab_address(session, Path(folder) / "DevToolsActivePort")
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    yield Tab(socket)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _tab_address(session: aiohttp.ClientSession, file: Path) -> str:
    async with asyncio.timeout(SECONDS):
        while (port := _port(file)) is None:  # noqa: ASYNC110 - a file tells of nothing
            await asyncio.sleep(0.05)
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as reply:
                tabs = [one for one in await reply.json() if one["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)


def _port(file: Path) -> str | None:
    """The port that the browser has written down, once it has."""
    text = file.read_text() if file.exists() else ""
    return text.split()[0] if "\n" in text else None
