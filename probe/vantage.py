"""The vantage point: from the configuration, else from a collector, else saved, else unknown.

A collector is asked at the start, and for `PATIENCE` seconds only; measuring never depends on it.
Its answer is saved for this network (by a keyed hash of the gateway), for use when no collector can
be reached.
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
# Seconds, over the whole run, that finished records wait for the collector's answer.
PATIENCE = 3.0
_MAX_SAVED = 32
_FORGET_SECONDS = 90 * 86400.0

VantageSource = Literal["collector", "remembered"]
AskCollector = Callable[[], Awaitable[VantageReply | None]]


class SavedVantage(msgspec.Struct, frozen=True, kw_only=True):
    """A collector's answer for one network, and when it came (Unix time)."""

    at: float
    country: str | None = None
    asn: int | None = None
    network: str | None = None


def configured_vantage(settings: Settings) -> Vantage:
    """The configured vantage point, and platform and version of this program."""
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
    """Looks up the vantage point; the collector is asked in the background."""

    def __init__(self, settings: Settings, state: Path, ask: AskCollector | None) -> None:
        self._configured = configured_vantage(settings)
        self._state = state
        self._network = host_network.gateway(state)
        self._remembered: dict[str, SavedVantage] | None = None
        self._began = time.monotonic()
        complete = self._configured.asn is not None and self._configured.country is not None
        self._asking: asyncio.Future[VantageReply | None] | None = (
            asyncio.ensure_future(ask()) if ask is not None and not complete else None
        )

    async def now(self) -> Vantage:
        """The vantage point; waits for the collector until `PATIENCE` seconds after the start."""
        if self._asking is not None and not self._asking.done():
            left = self._began + PATIENCE - time.monotonic()
            await asyncio.wait((self._asking,), timeout=max(left, 0.0))
        reply = self._reply()
        if reply is not None:
            return self._filled(reply.country, reply.asn, reply.network, "collector")
        if self._remembered is None:
            self._remembered = self._saved()
        saved = self._remembered.get(self._network or "")
        if saved is not None:
            return self._filled(saved.country, saved.asn, saved.network, "remembered")
        return self._configured

    async def close(self) -> None:
        """Stop asking, and save the collector's answer."""
        if self._asking is None:
            return
        reply = self._reply()
        self._asking.cancel()
        await asyncio.wait((self._asking,))
        if reply is not None and self._network is not None:
            self._save(self._network, reply)

    def _reply(self) -> VantageReply | None:
        asking = self._asking
        if asking is None or not asking.done() or asking.cancelled():
            return None
        return asking.result()

    def _filled(
        self, country: str | None, asn: int | None, network: str | None, source: VantageSource
    ) -> Vantage:
        """The configured vantage point, with missing fields filled in."""
        configured = self._configured
        if configured.asn is not None:
            return replace(configured, country=configured.country or country)
        return replace(
            configured,
            country=configured.country or country,
            asn=asn,
            asn_source=source if asn is not None else None,
            network=configured.network or network,
        )

    def _saved(self) -> dict[str, SavedVantage]:
        try:
            saved = msgspec.json.decode(
                (self._state / FILE).read_bytes(), type=dict[str, SavedVantage]
            )
        except (OSError, msgspec.MsgspecError):
            return {}
        oldest = time.time() - _FORGET_SECONDS
        return {name: one for name, one in saved.items() if one.at > oldest}

    def _save(self, network: str, reply: VantageReply) -> None:
        saved = self._saved()
        saved[network] = SavedVantage(
            at=time.time(), country=reply.country, asn=reply.asn, network=reply.network
        )
        newest = sorted(saved, key=lambda name: -saved[name].at)[:_MAX_SAVED]
        # On a full disk the answer is not saved; nothing else depends on it.
        with suppress(OSError):
            kept = {name: saved[name] for name in newest}
            atomic_files.write(self._state / FILE, msgspec.json.encode(kept))
