"""A test helper of OONI's as the source of control measurements, for a run that asks for it.

Rule: the helper is another project's, and sees this line's address and every target that it is
asked about. So it is asked only about targets that failed here, and never in advance. What it says
is weak evidence: one look, without times, certificates or hashes, from one place far away. What it
did not measure stays missing.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Self

import msgspec

from probe.api_types import RecheckTarget
from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.endpoint import CollectorEndpoint, is_loopback
from probe.compare import port_of
from probe.interop.ooni import words
from probe.interop.ooni.incoming import control
from probe.model import Control
from probe.net.browser_request import USER_AGENT
from probe.public_address import is_global

# A helper of OONI's refuses more than 25 at once, of all who ask it.
PARALLEL = 4
ASKS = 64
# It looks names up, connects and fetches one after the other, each with a limit of its own.
SECONDS = 20.0
ALL_SECONDS = 60.0
ENDPOINTS = 16
_HEADERS = {
    "Accept": ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
    "Accept-Language": ["en-US,en;q=0.9"],
    "User-Agent": [USER_AGENT],
}
_checked = msgspec.json.Decoder(Control)


class HelperControls:
    """A `ControlSource`, and an async context manager.

    Attributes:
        answered: Whether it answered, so the connection is not dead.
        answer_times: When it answered, where it is beyond this machine, Unix seconds.
        problems: Why its last request failed.
    """

    def __init__(self, endpoint: CollectorEndpoint, *, lab: bool) -> None:
        self.answered = False
        self.answer_times: list[float] = []
        self.problems: dict[str, str] = {}
        self._client = CollectorClient(endpoint)
        self._lab = lab

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__()

    @property
    def clock_offset(self) -> float | None:
        """Its clock is not known."""
        return None

    async def controls(self, inputs: Sequence[str]) -> dict[str, tuple[Control, ...]]:
        """Nothing: it would have to be told every target."""
        del inputs
        return {}

    async def recheck(self, asks: Sequence[RecheckTarget]) -> dict[str, tuple[Control, ...]]:
        """What it finds now, of targets that failed here."""
        found: dict[str, tuple[Control, ...]] = {}
        slots = asyncio.Semaphore(PARALLEL)

        async def ask(target: RecheckTarget) -> None:
            async with slots:
                answer = await self._ask(target)
            if answer is not None:
                found[target.input] = (answer,)

        try:
            async with asyncio.timeout(ALL_SECONDS), asyncio.TaskGroup() as asking:
                for target in asks[:ASKS]:
                    asking.create_task(ask(target))
        except TimeoutError:
            pass  # what came in time counts
        return found

    async def _ask(self, target: RecheckTarget) -> Control | None:
        where = self._client.endpoint
        try:
            body = await self._client.ask_helper(self._question(target), seconds=SECONDS)
        except CollectorError as error:
            self.problems[where.url] = str(error)
            if isinstance(error, CollectorRefused) and error.status > 0:
                self._note_answer(where)
            return None
        self._note_answer(where)
        return control_of(body, target.input)

    def _note_answer(self, where: CollectorEndpoint) -> None:
        self.answered = True
        if not is_loopback(where.host):
            self.answer_times.append(time.time())

    def _question(self, target: RecheckTarget) -> bytes:
        return msgspec.json.encode(
            {
                "http_request": target.input,
                "http_request_headers": _HEADERS,
                "tcp_connect": list(self._endpoints(target))[:ENDPOINTS],
                "x_quic_enabled": False,
            }
        )

    def _endpoints(self, target: RecheckTarget) -> Iterator[str]:
        port = port_of(target.input)
        for address in target.addresses:
            # The helper is not told an address of the volunteer's home network.
            if port is not None and (self._lab or is_global(address)):
                yield words.endpoint(address, port)


def control_of(answer: bytes, input_: str) -> Control | None:
    """A helper's answer as a control measurement of this moment; None if it says nothing."""
    try:
        said: Any = msgspec.json.decode(answer)
        found = control.control({"control": said}, input_, uuid.uuid4())
        # The answer is hostile input: what is no valid control is ignored.
        return _checked.decode(msgspec.json.encode(found)) if found is not None else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
