"""What a filter of plain requests reads: the bytes a browser sends, any spelling, one segment."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import HttpFilter, LabSite, Scenario
from probe.model import Outcome


def _filtered(name: str, why: str, *filters: HttpFilter, site: str = "") -> Scenario:
    host = site or filters[0].name
    return entry(
        name,
        LabSite(host, plain="same"),
        filters,
        Outcome.INCONCLUSIVE,
        why,
        experiments=("request",),
        url=f"http://{host}/",
    )


SCENARIOS = (
    _filtered(
        "request.exact",
        "Requests with the Host line exactly as browsers write it are reset; other forms pass.",
        HttpFilter("to-the-letter.org", "reset", reads="exact"),
    ),
    _filtered(
        "request.any_case",
        "The Host is read in any spelling, with one space before it, in single segments.",
        HttpFilter("in-any-case.org", "reset"),
    ),
    _filtered(
        "request.first_segment",
        "Only the first segment of a connection is read.",
        HttpFilter("first-glance.org", "reset", reads="first_segment"),
    ),
    _filtered(
        "request.proxy",
        "A proxy that speaks HTTP closes requests for this host, but not for it with a dot.",
        HttpFilter("read-to-the-end.org", "fin"),
    ),
    _filtered(
        "request.page",
        "Requests for this host are answered with a block page, in every form that means the same.",
        HttpFilter("another-page.org", "page_403"),
    ),
    _filtered("request.fine", "Every form is answered.", site="any-writing.org"),
)
