"""Which slow pages are followed up: one page alone cannot show whether it is slowed on purpose."""

from collections.abc import Iterable, Mapping

from probe.analysis.slowness import slowed, usual
from probe.experiments.interface import Experiment
from probe.model import Steps
from probe.ordering import Job


def follow_up_experiment(experiments: Mapping[str, Experiment]) -> Experiment | None:
    """The experiment that follows up slow pages."""
    return next((one for one in experiments.values() if one.follow_up is not None), None)


def follow_up_jobs(
    experiment: Experiment, jobs: Iterable[Job], pages: Mapping[Job, Steps]
) -> tuple[Job, ...]:
    """Jobs for the slowest of the `pages`, except for targets that already have such a job."""
    if experiment.follow_up is None:
        return ()
    done = {job.url for job in jobs if job.experiment == experiment.name}
    rate = usual(pages.values())
    found = []
    for job, steps in pages.items():
        slowness = slowed(steps, rate)
        if slowness is not None and job.url not in done:
            found.append((slowness, job.url, job))
    slowest = sorted(found, key=lambda one: one[:2])[: experiment.follow_up.most]
    return tuple(Job(experiment.name, job.url, job.category) for _, _, job in slowest)
