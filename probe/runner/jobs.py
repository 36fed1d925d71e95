"""From arguments and lists to jobs: each target once for each experiment.

An unusable row is reported by file and line, and the rest is measured; a list without any usable
row is an error.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from probe import targets
from probe.client.list_download import fetch_list
from probe.config import FILE, Settings
from probe.errors import UserError
from probe.experiments.interface import Experiment
from probe.ordering import SERVICE, Job
from probe.targets import Loaded, Target
from probe.urls import TargetError, parse_url

DEFAULT_LIST = "kz"
ARGUMENT = "command line"
UPDATED = "lists"


@dataclass(frozen=True, slots=True)
class JobList:
    """What a run is to measure.

    Attributes:
        unfetched: URLs of lists that a dry run does not fetch.
    """

    jobs: tuple[Job, ...]
    unfetched: tuple[str, ...] = ()


def job_list(
    urls: Sequence[str],
    settings: Settings,
    state: Path,
    *,
    warn: Callable[[str], None],
    touch_network: bool = True,
) -> JobList:
    """The jobs for these URLs and the configured lists and experiments, or `UserError`."""
    specs = settings.targets or (() if urls else (DEFAULT_LIST,))
    unfetched = () if touch_network else tuple(spec for spec in specs if _is_url(spec))
    found = [_argument(url) for url in urls]
    for spec in specs:
        if spec not in unfetched:
            found += _listed(spec, settings, state, warn)
    # The first mention of a target decides its category and purpose.
    unique = {target.url: target for target in reversed(found)}
    ordered = [unique[url] for url in dict.fromkeys(target.url for target in found)]
    by_purpose = not urls and not settings.targets
    jobs = (
        Job(experiment.name, url, unique[url].category if url in unique else None)
        for experiment in _experiments(settings)
        for url in _inputs(experiment, ordered, by_purpose=by_purpose)
    )
    return JobList(tuple(jobs), unfetched)


def _inputs(experiment: Experiment, listed: Sequence[Target], *, by_purpose: bool) -> Sequence[str]:
    """The inputs of an experiment's jobs.

    Args:
        by_purpose: No targets were named, so an experiment for a purpose gets only its own.
    """
    if experiment.once:
        return ("",)
    if experiment.service:
        return (SERVICE + experiment.name,)
    if experiment.purpose is None or not by_purpose:
        return [target.url for target in listed]
    # A list that came from a collector may lack purposes; then the bundled candidates are used.
    suitable = [target for target in listed if target.purpose == experiment.purpose]
    return [target.url for target in suitable or targets.candidates(experiment.purpose)]


def _experiments(settings: Settings) -> tuple[Experiment, ...]:
    """The configured experiments; `UserError` for an unknown one or a service without options."""
    from probe.experiments import load

    known = load()
    for name in settings.experiments:
        if name not in known:
            raise UserError(_no_experiment(name, known))
    found = tuple(known[name] for name in dict.fromkeys(settings.experiments))
    for one in sorted(found, key=lambda one: one.name):
        if not one.service or one.objection is None:
            continue
        if problem := one.objection(settings.options.get(one.name, {})):
            name = f"options.{one.name}"
            raise UserError(f"{name}: {problem} (in {FILE}, under [{name}])")
    return found


def check_options(settings: Settings, file: Path) -> None:
    """Raise `UserError` for options of an unknown experiment and for options it does not take.

    The message has the file, the key and what was expected; never the value, which may be secret.
    """
    from probe.experiments import load

    known = load()
    for name, given in settings.options.items():
        where = f"{file}: options.{name}"
        if name not in known:
            raise UserError(f"{where}: {_no_experiment(name, known)}")
        takes, objection = known[name].takes, known[name].objection
        for key, value in given.items():
            if key not in takes:
                expected = f"expected one of: {', '.join(takes)}" if takes else "it takes none"
                raise UserError(f"{where}: {key}: unknown key; {expected}")
            if not takes[key].fits(value):
                raise UserError(f"{where}: {key}: expected {takes[key].expected}")
        if given and objection is not None and (problem := objection(given)):
            raise UserError(f"{where}: {problem}")


def _no_experiment(name: str, known: Iterable[str]) -> str:
    return f"there is no experiment {name!r}; there are: {', '.join(sorted(known))}"


def _is_url(spec: str) -> bool:
    return spec.startswith(("https://", "http://"))


def updated_list(state: Path, name: str) -> Path:
    """The path of a list from a collector, which replaces the bundled one of that name."""
    return state / UPDATED / f"{name}.csv"


def _argument(url: str) -> Target:
    try:
        return Target(parse_url(url), source=ARGUMENT)
    except TargetError as error:
        raise UserError(f"{ARGUMENT}: {error}") from error


def _listed(
    spec: str, settings: Settings, state: Path, warn: Callable[[str], None]
) -> Sequence[Target]:
    try:
        found, problems = _load(spec, settings, state)
    except TargetError as error:
        raise UserError(str(error)) from error
    for problem in problems:
        warn(str(problem))
    if not found:
        raise UserError(f"{spec}: nothing in it can be measured")
    return found


def _load(spec: str, settings: Settings, state: Path) -> Loaded:
    if _is_url(spec):
        ca_file = Path(settings.ca_file) if settings.ca_file else None
        return targets.parse(fetch_list(spec, lab=settings.lab, ca_file=ca_file), spec)
    if spec in targets.list_names() and updated_list(state, spec).is_file():
        return targets.load(str(updated_list(state, spec)))
    return targets.load(spec)
