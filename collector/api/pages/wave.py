"""GET /w/ID: a wave, as the order clock of the events that began together."""

import re
from dataclasses import dataclass

from aiohttp import web

from collector.api import events, parameters
from collector.api.event_messages import WaveShown, shown_wave
from collector.api.http import Refused
from collector.api.pages import chart, order_clock
from collector.api.pages.order_clock import OrderClock
from collector.api.pages.page import PersonParameters
from collector.service import SERVICE
from collector.web import time_axis
from probe import reference_data

_ID = re.compile("[0-9a-f]{1,32}")
# More events than these are in the data.
RUNGS = 60


@dataclass(frozen=True, slots=True)
class WavePageShown:
    """Everything that the page shows; `more` events are not on the ladder."""

    wave: WaveShown
    clock: OrderClock
    more: int


async def get_wave(request: web.Request) -> web.Response:
    """A wave: the ladder of networks, the order where it is known, and who was late."""
    service, asked = request.app[SERVICE], parameters.of(request, PersonParameters)
    id_ = request.match_info["id"]
    # It brings the events up to date, in the background where that takes long.
    await service.snapshots.snapshot()
    found = await service.store.read(events.of_wave(id_), slow=True) if _ID.fullmatch(id_) else []
    if not found:
        raise Refused(404, "unknown_wave", "no wave with this id is known here")
    shown = await events.shown(request, found)
    clock = order_clock.clock(shown[:RUNGS], reference_data.orders())
    it = WavePageShown(shown_wave(id_, shown), clock, max(0, len(shown) - RUNGS))
    charts = {"clock": lambda: order_clock.table(clock)}
    return await chart.give(request, "wave.html", asked.lang, charts, it=it, axis=time_axis)
