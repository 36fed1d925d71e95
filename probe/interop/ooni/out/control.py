"""A control measurement in the form of an answer of OONI's test helper: `control`."""

from typing import Any

from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import ChosenSteps
from probe.interop.ooni.out.helper_answer import endpoints, helper_answer
from probe.model import Control, Http, Record

NO_CONTROL = f"{words.UNKNOWN}: no control measurement of this target"


def nearest(record: Record) -> Control | None:
    """The control measurement nearest in time."""
    usable = [one for one in record.control if one.steps]
    return min(usable, key=lambda one: abs(one.age), default=None)


def control_keys(record: Record, chosen: ChosenSteps) -> dict[str, Any]:
    """`control` and `control_failure` of a measurement."""
    found = nearest(record)
    if found is None:
        return {"control": None, "control_failure": NO_CONTROL}
    addresses = dict.fromkeys(a for query in chosen.queries for a in query.addresses)
    asked = tuple(endpoints(record.input, addresses))
    return {"control": helper_answer(record.input, found.steps, asked), "control_failure": None}


def final_page(chosen: ChosenSteps) -> Http | None:
    """The last page on the way of redirects."""
    pages = [step for step, _ in chosen.exchanges]
    return max(pages, key=lambda page: (page.hop, page.failure is None, page.at), default=None)
