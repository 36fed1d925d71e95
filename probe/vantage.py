"""Our vantage: from the configuration, else from a collector, else remembered, else unknown.

A collector is asked at the start and waited for a moment only; measuring never depends on it. What
it said is remembered for this network, by a keyed hash of the gateway, for lines that are cut.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from probe import __version__, atomic_files, host_network
from probe.api_types import VantageReply
from probe.config import Settings
from probe.model import Vantage

FILE = "networks.json"
# Records that are ready before the collector answered wait for it this long, all in all.
PATIENCE = 3.0
_REMEMBERED = 32
_FORGET_AFTER = 90 * 86400.0

Source = Literal["collector", "remembered"]
Ask = Callable[[], Awaitable[VantageReply | None]]


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What a collector said of one network, and when (Unix time)."""

    at: float
    country: str | None = None
    asn: int | None = None
    network: str | None = None


def by_settings(settings: Settings) -> Vantage:
    """What the volunteer chose to say, and what program this is."""
    return Vantage(
        role=settings.role,
        country=settings.country,
        asn=settings.asn,
        asn_source="config" if settings.asn is not None else None,
        network=settings.network,
        region=settings.region,
        kind=settings.kind,
        platform=host_network.platform(),
        version=__version__,
    )


class VantageLookup:
    """Our vantage as well as it is known by now."""

    def __init__(self, settings: Settings, state: Path, ask: Ask | None) -> None:
        self._said = by_settings(settings)
        self._state = state
        self._network = host_network.gateway(state)
        self._began = time.monotonic()
        complete = self._said.asn is not None and self._said.country is not None
        self._asking: asyncio.Future[VantageReply | None] | None = (
            asyncio.ensure_future(ask()) if ask is not None and not complete else None
        )

    async def now(self) -> Vantage:
        """The vantage; waits for the collector until `PATIENCE` seconds after the start."""
        if self._asking is not None and not self._asking.done():
            left = self._began + PATIENCE - time.monotonic()
            await asyncio.wait((self._asking,), timeout=max(left, 0.0))
        reply = self._reply()
        if reply is not None:
            return self._filled(reply.country, reply.asn, reply.network, "collector")
        known = self._memory().get(self._network or "")
        if known is not None:
            return self._filled(known.country, known.asn, known.network, "remembered")
        return self._said

    async def close(self) -> None:
        """Ask no longer, and remember what was said."""
        if self._asking is None:
            return
        reply = self._reply()
        self._asking.cancel()
        await asyncio.wait((self._asking,))
        if reply is not None and self._network is not None:
            self._remember(self._network, reply)

    def _reply(self) -> VantageReply | None:
        asking = self._asking
        if asking is None or not asking.done() or asking.cancelled():
            return None
        return asking.result()

    def _filled(
        self, country: str | None, asn: int | None, network: str | None, source: Source
    ) -> Vantage:
        """What was said here holds; what was not is filled in from elsewhere."""
        said = self._said
        if said.asn is not None:
            return replace(said, country=said.country or country)
        return replace(
            said,
            country=said.country or country,
            asn=asn,
            asn_source=source if asn is not None else None,
            network=said.network or network,
        )

    def _memory(self) -> dict[str, Remembered]:
        try:
            known = msgspec.json.decode(
                (self._state / FILE).read_bytes(), type=dict[str, Remembered]
            )
        except (OSError, msgspec.MsgspecError):
            return {}
        oldest = time.time() - _FORGET_AFTER
        return {name: one for name, one in known.items() if one.at > oldest}

    def _remember(self, network: str, reply: VantageReply) -> None:
        known = self._memory()
        known[network] = Remembered(
            at=time.time(), country=reply.country, asn=reply.asn, network=reply.network
        )
        newest = sorted(known, key=lambda name: -known[name].at)[:_REMEMBERED]
        # A disk that is full costs a memory, nothing else.
        with suppress(OSError):
            kept = {name: known[name] for name in newest}
            atomic_files.write(self._state / FILE, msgspec.json.encode(kept))
