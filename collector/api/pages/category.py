"""GET /category/CODE: the sites of a category, on all networks."""

from aiohttp import web

from collector.api import parameters
from collector.api.http import Refused
from collector.api.pages import chart, history, matrix
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Count
from collector.service import SERVICE

SITES = 100


class CategoryParameters(PersonParameters, frozen=True, kw_only=True):
    """Which part of the sites is shown."""

    part: Count = 1


async def get_category(request: web.Request) -> web.Response:
    """The sites of a category: what is said of each of them on each network."""
    service, code = request.app[SERVICE], request.match_info["code"]
    asked = parameters.of(request, CategoryParameters)
    if code not in service.labels.categories:
        raise Refused(404, "unknown_category", "no listed site has this category")
    votes = (await service.snapshots.snapshot()).outcomes
    listed = service.labels.targets_of(code)
    wanted = set(listed)
    of_code = {where: of for where, of in votes.items() if where[0] in wanted}
    measured = {where[0] for where in of_code}
    bad = matrix.worst(of_code)
    ranked = [*bad, *sorted(measured - set(bad))]
    shown = [(name, code) for name in ranked[(asked.part - 1) * SITES : asked.part * SITES]]
    networks = matrix.networks_of(of_code)
    until = int(service.clock() // history.DAY) + 1
    table = matrix.matrix(of_code, shown, networks, service.settings.quorum)
    return await chart.give(
        request,
        "category.html",
        asked.lang,
        {"matrix": lambda: matrix.as_data(of_code, ranked, service.settings.quorum)},
        code=code,
        table=table,
        bad=len(bad),
        measured=len(ranked),
        part=asked.part,
        next=asked.part + 1 if asked.part * SITES < len(ranked) else None,
        unmeasured=[name for name in listed if name not in measured],
        since=until - history.ROW,
    )
