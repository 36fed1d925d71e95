"""From arguments and lists to jobs: what is measured, each target once for each experiment.

A row that cannot be used is told by file and line, and the rest is measured; a list without a
single usable row stops the start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from probe import targets
from probe.client.list_download import fetch_list
from probe.config import FILE, Settings
from probe.errors import UserError
from probe.ordering import SERVICE, Job
from probe.targets import Loaded, Target
from probe.urls import TargetError, parse_url

DEFAULT_LIST = "kz"
ARGUMENT = "command line"
UPDATED = "lists"
# Experiments that nobody asks about every site: which targets of the list they are for.
PURPOSES: Mapping[str, str] = MappingProxyType({"mitm": "mitm-candidate"})


@dataclass(frozen=True, slots=True)
class JobList:
    """What a run is to look at.

    Attributes:
        later: Lists behind URLs that were not fetched (a dry run touches no network).
    """

    jobs: tuple[Job, ...]
    later: tuple[str, ...] = ()


def assign(
    urls: Sequence[str],
    settings: Settings,
    state: Path,
    *,
    warn: Callable[[str], None],
    touch_network: bool = True,
) -> JobList:
    """Every job, or `UserError`."""
    specs = settings.targets or (() if urls else (DEFAULT_LIST,))
    unasked = not urls and not settings.targets
    later = () if touch_network else tuple(spec for spec in specs if is_url(spec))
    found = [_argument(url) for url in urls]
    for spec in specs:
        if spec not in later:
            found += _listed(spec, settings, state, warn)
    experiments = known_experiments(settings.experiments)
    unique = {target.url: target for target in reversed(found)}
    ordered = tuple(dict.fromkeys(target.url for target in found))
    once = about_the_line()
    own = services(experiments, settings)

    def wanted(experiment: str) -> Sequence[str]:
        if experiment in once:
            return ("",)
        if experiment in own:
            return (SERVICE + experiment,)
        purpose = PURPOSES.get(experiment) if unasked else None
        if purpose is None:
            return ordered
        # A list that came from a collector may not say what its targets are for.
        mine = [url for url in ordered if unique[url].purpose == purpose]
        return mine or [target.url for target in targets.candidates(purpose)]

    jobs = (
        Job(experiment, url, unique[url].category if url in unique else None)
        for experiment in experiments
        for url in wanted(experiment)
    )
    return JobList(tuple(jobs), later)


def known_experiments(names: Iterable[str]) -> tuple[str, ...]:
    """The same names, once each, or `UserError` for one that there is not."""
    from probe.experiments import load

    known = load()
    for name in names:
        if name not in known:
            raise UserError(_no_experiment(name, known))
    return tuple(dict.fromkeys(names))


def check_options(settings: Settings, file: Path) -> None:
    """Raise `UserError` for settings of an experiment that there is not, or that it does not take.

    In one line: the file, the key, what was expected. Never the value, which may be a key.
    """
    from probe.experiments import load

    known = load()
    for name, given in settings.options.items():
        place = f"{file}: options.{name}"
        if name not in known:
            raise UserError(f"{place}: {_no_experiment(name, known)}")
        takes, objection = known[name].takes, known[name].objection
        for key, value in given.items():
            if key not in takes:
                expected = f"expected one of: {', '.join(takes)}" if takes else "it takes none"
                raise UserError(f"{place}: {key}: unknown key; {expected}")
            if not takes[key].fits(value):
                raise UserError(f"{place}: {key}: expected {takes[key].expected}")
        if given and objection is not None and (wrong := objection(given)):
            raise UserError(f"{place}: {wrong}")


def _no_experiment(name: str, known: Iterable[str]) -> str:
    return f"there is no experiment {name!r}; there are: {', '.join(sorted(known))}"


def services(names: Iterable[str], settings: Settings) -> frozenset[str]:
    """Those of the experiments that look at a service; `UserError` when one lacks what it needs."""
    from probe.experiments import load

    known = load()
    found = frozenset(name for name in names if known[name].service)
    for name in sorted(found):
        objection = known[name].objection
        wrong = objection(settings.options.get(name, {})) if objection is not None else None
        if wrong is not None:
            raise UserError(f"options.{name}: {wrong} (in {FILE}, under [options.{name}])")
    return found


def about_the_line() -> frozenset[str]:
    """Experiments that look at the line, once a run, whatever the targets are."""
    from probe.experiments import load

    return frozenset(name for name, experiment in load().items() if experiment.once)


def is_url(spec: str) -> bool:
    """Whether a list is named by where it can be fetched."""
    return spec.startswith(("https://", "http://"))


def updated(state: Path, name: str) -> Path:
    """Where a list is kept that a collector gave in place of the bundled one."""
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
    if is_url(spec):
        ca_file = Path(settings.ca_file) if settings.ca_file else None
        return targets.parse(fetch_list(spec, lab=settings.lab, ca_file=ca_file), spec)
    if spec in targets.list_names() and updated(state, spec).is_file():
        return targets.load(str(updated(state, spec)))
    return targets.load(spec)
