"""The other end of the raw helper: a small process that sees single packets, where it may.

Rule: what it can not do is a reason in a few words (`missing`), never an error. It is told at its
start which addresses it is for, and it ends with us.
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
_START = 10.0
_ANSWER = 5.0
_SECONDS = 900.0
_LINE = 32 << 20
NOT_LINUX = "only on Linux"
NO_SCAPY = "scapy is not installed (pip install 'qazprobe[raw]')"
GONE = "the helper ended"


class Raw:
    """One helper, for these destinations."""

    def __init__(self, addresses: Sequence[str], *, argv: Sequence[str] | None = None) -> None:
        self._addresses = [address for address in addresses if ":" not in address]
        self._argv = (sys.executable, "-m", _HELPER) if argv is None else tuple(argv)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self.missing: str | None = "it was not started"

    async def start(self) -> None:
        """Start it, if it can do anything here."""
        self.missing = await self._started()
        if self.missing is not None:
            await self.stop()

    async def _started(self) -> str | None:
        if sys.platform != "linux":
            return NOT_LINUX
        if find_spec("scapy") is None:
            return NO_SCAPY
        if not self._addresses:
            return "there is no IPv4 address to watch"
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
        )
        order = {"op": "begin", "destinations": self._addresses, "seconds": _SECONDS}
        said = await self._ask(order, limit=_START)
        return GONE if said is None else said.get("refused")

    async def packets(self, address: str, port: int, known: Collection[str]) -> list[Packet]:
        """What came back on the connection from our `port`, in order; `at` is monotonic time.

        A router is named only if it is among those `known`.
        """
        said = await self._ask({"op": "packets", "address": address, "port": port})
        if said is None:
            return []
        try:
            packets = msgspec.convert(said.get("packets", []), list[Packet])
        except msgspec.ValidationError:
            return []
        return [_named(packet, known) for packet in packets]

    async def capture(self, known: Collection[str]) -> bytes:
        """Everything that was seen, as a scrubbed pcap file."""
        said = await self._ask({"op": "capture", "known": sorted(known)})
        return b"" if said is None else b64decode(str(said.get("pcap", "")))

    async def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()

    async def _ask(
        self, order: dict[str, object], *, limit: float = _ANSWER
    ) -> dict[str, str] | None:
        """One line there, one line back; None when it does not answer any more."""
        if self._process is None:
            return None
        try:
            async with self._turn, asyncio.timeout(limit):
                line = await self._exchange(self._process, json.dumps(order).encode() + b"\n")
        except (OSError, ValueError):  # a broken pipe, no time, or a line without end
            self.missing = GONE
            return None
        try:
            said = json.loads(line)
        except ValueError:  # nothing, or nonsense
            said = None
        if not isinstance(said, dict):
            self.missing = GONE
            return None
        return said

    async def _exchange(self, process: asyncio.subprocess.Process, line: bytes) -> bytes:
        assert process.stdin is not None  # noqa: S101 - made with pipes
        assert process.stdout is not None  # noqa: S101 - made with pipes
        process.stdin.write(line)
        await process.stdin.drain()
        return await process.stdout.readline()


def _named(packet: Packet, known: Collection[str]) -> Packet:
    if packet.address is None or packet.address in known:
        return packet
    return msgspec.structs.replace(packet, address=None)
