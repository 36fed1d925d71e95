"""Which slow pages are followed up: one page alone cannot show whether it is slowed on purpose."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from probe.analysis.pace import (
    FRACTION,
    LEAST_SECONDS,
    Paces,
    drags,
    duration,
    later_pace,
    pace,
    slow_for_its_size,
    slow_later,
)
from probe.analysis.slowness import pages as pages_of, slowed, usual
from probe.experiments.interface import Experiment
from probe.model import Steps
from probe.ordering import Job, host_of

# With fewer pages than this, nothing is known of the line.
_ENOUGH = 3
# Bytes a second; a page that came faster needs no second look.
_QUICK = 64_000.0


class SlowPages:
    """Which pages of a run need a second look, as they came slowly.

    On a slow line all do: then only those that are much slower than the others.
    """

    def __init__(self) -> None:
        self._paces = Paces()
        self._known = 0

    def suspects(self, url: str, steps: Steps) -> bool:
        """Whether the last of these pages, which are noted, came slowly for this line."""
        usual_pace = self._paces.usual(host_of(url)) if self._known >= _ENOUGH else None
        limit = _QUICK if usual_pace is None else usual_pace * FRACTION
        self._paces.add(steps)
        for page in pages_of(steps)[-1:]:
            own, seconds = pace(page), duration(page)
            if own is not None and seconds is not None:
                self._known += 1
                return own <= limit and seconds >= LEAST_SECONDS
        return False


def follow_up_experiment(experiments: Mapping[str, Experiment]) -> Experiment | None:
    """The experiment that follows up slow pages."""
    return next((one for one in experiments.values() if one.follow_up is not None), None)


def follow_up_jobs(
    experiment: Experiment, jobs: Iterable[Job], pages: Callable[[], Iterable[tuple[Job, Steps]]]
) -> tuple[Job, ...]:
    """Jobs for the slowest of the `pages`, except for targets that already have such a job.

    Args:
        pages: Gives the jobs and their steps, each time anew: they are not kept.
    """
    if experiment.follow_up is None:
        return ()
    done = {job.url for job in jobs if job.experiment == experiment.name}
    paces = Paces()
    rate = usual(_noted(paces, pages()))
    found = []
    for job, steps in pages():
        slowness = slowed(steps, rate)
        slowness = _slow_pace(job, steps, paces) if slowness is None else slowness
        if slowness is not None and job.url not in done:
            found.append((slowness, job.url, job))
    slowest = sorted(found, key=lambda one: one[:2])[: experiment.follow_up.most]
    return tuple(Job(experiment.name, job.url, job.category) for _, _, job in slowest)


def _noted(paces: Paces, pages: Iterable[tuple[Job, Steps]]) -> Iterator[Steps]:
    for _job, steps in pages:
        paces.add(steps)
        yield steps


def _slow_pace(job: Job, steps: Steps, paces: Paces) -> float | None:
    """The share of the usual pace that a slow page had each time; None for any other.

    Large pages are compared with large ones: those show slower limits than a few packets do.
    """
    host = host_of(job.url)
    rate, of_large = paces.usual(host), paces.usual_of_large(host)
    shares = []
    for page in pages_of(steps):
        own = pace(page)
        if own is None or page.location is not None:
            continue
        if drags(page, rate):
            shares.append(own / (rate or own))
        elif slow_for_its_size(page, of_large, steps):
            shares.append(own / (of_large or own))
        elif slow_later(page, of_large):
            shares.append((later_pace(page) or own) / (of_large or own))
        else:
            return None
    return max(shares, default=None)
