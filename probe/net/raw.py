"""The parent's side of the raw helper, a process that captures packets.

If it cannot capture, `missing` has the reason; nothing raises. The helper gets the addresses to
capture at its start, and ends with its parent.
"""

import asyncio
import json
import sys
from base64 import b64decode
from collections.abc import Collection, Sequence
from importlib.util import find_spec

import msgspec

from probe.model import Packet

_HELPER = "probe.rawhelper"
_START_LIMIT = 10.0
_REPLY_LIMIT = 5.0
_SECONDS = 900.0
_LINE = 32 << 20
NOT_LINUX = "only on Linux"
NO_SCAPY = "scapy is not installed (pip install 'qazprobe[raw]')"
GONE = "the helper ended"
NOT_STARTED = "the helper cannot be started"


class Raw:
    """One helper process, for these destinations."""

    def __init__(self, addresses: Sequence[str], *, argv: Sequence[str] | None = None) -> None:
        self._addresses = [address for address in addresses if ":" not in address]
        self._argv = (sys.executable, "-m", _HELPER) if argv is None else tuple(argv)
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self.missing: str | None = "it was not started"

    async def start(self) -> None:
        """Start the helper; on failure set `missing`."""
        self.missing = await self._start()
        if self.missing is not None:
            await self.stop()

    async def _start(self) -> str | None:
        if sys.platform != "linux":
            return NOT_LINUX
        if find_spec("scapy") is None:
            return NO_SCAPY
        if not self._addresses:
            return "there is no IPv4 address to watch"
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LINE,
            )
        except OSError:  # no memory, too many processes, no program
            return NOT_STARTED
        order = {"op": "begin", "destinations": self._addresses, "seconds": _SECONDS}
        reply = await self._ask(order, limit=_START_LIMIT)
        return GONE if reply is None else reply.get("refused")

    async def packets(self, address: str, port: int, known: Collection[str]) -> list[Packet]:
        """The packets received on the connection from local `port`; `at` is monotonic time.

        A router's address is kept only if it is in `known`.
        """
        reply = await self._ask({"op": "packets", "address": address, "port": port})
        if reply is None:
            return []
        try:
            packets = msgspec.convert(reply.get("packets", []), list[Packet])
        except msgspec.ValidationError:
            return []
        return [
            packet if packet.address in known else msgspec.structs.replace(packet, address=None)
            for packet in packets
        ]

    async def capture(self, known: Collection[str]) -> bytes:
        """All captured packets, as a scrubbed pcap file."""
        reply = await self._ask({"op": "capture", "known": sorted(known)})
        return b"" if reply is None else b64decode(str(reply.get("pcap", "")))

    async def stop(self) -> None:
        """Kill the helper."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()

    async def _ask(
        self, order: dict[str, object], *, limit: float = _REPLY_LIMIT
    ) -> dict[str, str] | None:
        """Send one line, receive one line; None if the helper does not answer."""
        if self._process is None:
            return None
        try:
            async with self._lock, asyncio.timeout(limit):
                line = await self._exchange(self._process, json.dumps(order).encode() + b"\n")
        except (OSError, ValueError):  # a broken pipe, a timeout, or an overlong line
            self.missing = GONE
            return None
        try:
            reply = json.loads(line)
        except ValueError:  # empty, or not JSON
            reply = None
        if not isinstance(reply, dict):
            self.missing = GONE
            return None
        return reply

    async def _exchange(self, process: asyncio.subprocess.Process, line: bytes) -> bytes:
        assert process.stdin is not None  # noqa: S101 - made with pipes
        assert process.stdout is not None  # noqa: S101 - made with pipes
        process.stdin.write(line)
        await process.stdin.drain()
        return await process.stdout.readline()
