"""Charts with addresses of their own: `…/chart/NAME` shows one alone, `…/chart/NAME.csv` its data.

Rule: they have the parameters of the page that they are part of, and show the same.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from collector.admin.export import csv_bytes
from collector.api import negotiation
from collector.api.http import Refused
from collector.api.pages import page
from collector.web.languages import Language


@dataclass(frozen=True, slots=True)
class ChartTable:
    """The data of a chart."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


Charts = Mapping[str, Callable[[], ChartTable]]


async def give(
    request: web.Request,
    template: str,
    chosen: Language | None,
    charts: Charts,
    /,
    **values: object,
) -> web.Response:
    """A page; or one of its charts alone, or the data of one, where the address says so.

    Raises:
        Refused: The page has no such chart.
    """
    asked = request.match_info.get("chart", "")
    name, _, form = asked.partition(".")
    if asked and (name not in charts or asked not in {name, f"{name}.csv"}):
        raise Refused(404, "unknown_chart", f"charts here: {', '.join(charts)}")
    if not form:
        return await page.give(request, template, chosen, chart=name, **values)
    table = await asyncio.to_thread(charts[name])
    body = await asyncio.to_thread(csv_bytes, [table.columns, *table.rows])
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return await negotiation.give(request, body, "csv", headers=headers)
