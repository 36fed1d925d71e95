"""GET /category/CODE: the sites of a category, on all networks."""

from aiohttp import web

from collector.api import parameters
from collector.api.http import Refused
from collector.api.pages import history, matrix, page
from collector.api.pages.page import PersonParameters
from collector.metrics.counting import by_outcome
from collector.service import SERVICE


async def get_category(request: web.Request) -> web.Response:
    """The sites of a category: what is said of each of them on each network."""
    service, code = request.app[SERVICE], request.match_info["code"]
    asked = parameters.of(request, PersonParameters)
    if code not in service.labels.categories:
        raise Refused(404, "unknown_category", "no listed site has this category")
    votes = by_outcome((await service.snapshots.snapshot()).votes)
    listed = service.labels.targets_of(code)
    measured = {where[0] for where in votes}
    sites = [(name, code) for name in listed if name in measured]
    networks = matrix.networks_of({w: of for w, of in votes.items() if w[0] in set(listed)})
    table = matrix.matrix(votes, sites, networks, service.settings.quorum)
    ranked = sorted(table.rows, key=lambda row: row.weight)
    until = int(service.clock() // history.DAY) + 1
    return await page.give(
        request,
        "category.html",
        asked.lang,
        code=code,
        table=matrix.Matrix(table.networks, ranked, table.left_out),
        bad=len(matrix.interfered(votes) & set(listed)),
        unmeasured=[name for name in listed if name not in measured],
        since=until - history.ROW,
    )
