"""From arguments and lists to jobs: each target once for each experiment.

An unusable row is reported by file and line, and the rest is measured; a list without any usable
row is an error.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from probe import targets
from probe.config import FILE, Settings
from probe.errors import UserError
from probe.experiments.interface import Experiment
from probe.i18n import N_, _, reason
from probe.ordering import SERVICE, Job
from probe.runner import list_refresh, profile
from probe.runner.profile import ProfilePlan
from probe.runner.target_lists import TargetLists, purpose_of
from probe.targets import Target
from probe.urls import TargetError, parse_target

Candidates = Callable[[str], Sequence[Target]]

DEFAULT_LIST = "kz"
ARGUMENT = N_("command line")


class JobList(Struct, frozen=True):
    """What a run is to measure.

    Attributes:
        unfetched: URLs of lists that a dry run does not fetch.
        profile: Which jobs and shares the profile gave; None where experiments are named.
        profile_line: What the profile measures, for a person.
        left_out_line: What the choice of categories left out, for a person.
        unlisted: Targets that were named and are on none of the lists.
    """

    jobs: tuple[Job, ...]
    unfetched: tuple[str, ...] = ()
    profile: ProfilePlan | None = None
    profile_line: str | None = None
    left_out_line: str | None = None
    unlisted: frozenset[str] = frozenset()


def list_names(urls: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """The lists of a run: the configured ones, the default one if nothing is named."""
    return settings.targets or (() if urls else (DEFAULT_LIST,))


def job_list(
    urls: Sequence[str],
    settings: Settings,
    state: Path,
    *,
    warn: Callable[[str], None],
    touch_network: bool = True,
) -> JobList:
    """The jobs for these URLs and the configured lists and experiments, or `UserError`."""
    specs = list_names(urls, settings)
    lists = TargetLists(settings, state, warn)
    unfetched = () if touch_network else tuple(spec for spec in specs if not lists.is_here(spec))
    named = [_argument(url, lab=settings.lab) for url in urls]
    listed = [target for spec in specs if spec not in unfetched for target in lists.read(spec)]
    # The first mention of a target decides its category and purpose, but a name alone has none.
    unique = {target.url: target for target in (*reversed(named), *reversed(listed))}
    named = [unique[target.url] for target in named]
    listed = [unique[url] for url in dict.fromkeys(target.url for target in listed)]
    left_out = lists.left_out.line
    unlisted = frozenset(one.url for one in named) - {one.url for one in listed}
    if settings.experiments:
        by_purpose = not urls and not settings.targets  # nothing was named
        candidates = lists.candidates if by_purpose else None
        jobs = _experiment_jobs([*named, *listed], settings, candidates)
        return JobList(jobs, unfetched, left_out_line=left_out, unlisted=unlisted)
    made = profile.plan(named, listed, settings, _known(), state, keep=touch_network)
    line = profile.described(made, settings)
    return JobList(made.jobs, unfetched, made, line, left_out, unlisted)


def refreshed_jobs(
    urls: Sequence[str],
    settings: Settings,
    state: Path,
    *,
    warn: Callable[[str], None],
    note: Callable[[str], None],
) -> JobList:
    """The jobs after the lists were refreshed; contacts the servers of lists that are due."""
    list_refresh.prepare(list_names(urls, settings), settings, state, note=note)
    return job_list(urls, settings, state, warn=warn)


def check_arguments(urls: Sequence[str], settings: Settings) -> None:
    """Raise `UserError` for an unusable URL or an unknown experiment; reads no list."""
    for url in urls:
        _argument(url, lab=settings.lab)
    _experiments(settings)


def _experiment_jobs(
    targets: Sequence[Target], settings: Settings, candidates: Candidates | None
) -> tuple[Job, ...]:
    """The jobs of the experiments that were named; `candidates` as in `_inputs`."""
    unique = {target.url: target for target in reversed(targets)}
    return tuple(
        Job(experiment.name, url, unique[url].category if url in unique else None)
        for experiment in _experiments(settings)
        for url in dict.fromkeys(_inputs(experiment, targets, candidates))
    )


def _inputs(
    experiment: Experiment, listed: Sequence[Target], candidates: Candidates | None
) -> Sequence[str]:
    """The inputs of an experiment's jobs.

    Args:
        candidates: The bundled list's targets of a purpose, if no targets were named: then an
            experiment for a purpose gets only its own.
    """
    if experiment.once:
        return ("",)
    if experiment.service:
        return (SERVICE + experiment.name,)
    if experiment.purpose is None or candidates is None:
        return [target.url for target in listed]
    # A list that came from a collector may lack purposes; then the bundled candidates are used.
    suitable = [target for target in listed if target.purpose == experiment.purpose]
    return [target.url for target in suitable or candidates(experiment.purpose)]


def _experiments(settings: Settings) -> tuple[Experiment, ...]:
    """The configured experiments; `UserError` for an unknown one or a service without options."""
    known = _known()
    for name in settings.experiments:
        if name not in known:
            raise UserError(f"-e: {_no_experiment(name, known)}")
    found = tuple(known[name] for name in dict.fromkeys(settings.experiments))
    for one in sorted(found, key=lambda one: one.name):
        if not one.service or one.objection is None:
            continue
        if problem := one.objection(settings.options.get(one.name, {})):
            name = f"options.{one.name}"
            raise UserError(
                _("{name}: {problem} (in {file}, under [{name}])").format(
                    name=name, problem=problem, file=FILE
                )
            )
    return found


def check_options(settings: Settings, file: Path) -> None:
    """Raise `UserError` for options of an unknown experiment and for options it does not take.

    The message has the file, the key and what was expected; never the value, which may be secret.
    """
    known = _known()
    for name, given in settings.options.items():
        where = f"{file}: options.{name}"
        if name not in known:
            raise UserError(f"{where}: {_no_experiment(name, known)}")
        takes, objection = known[name].takes, known[name].objection
        for key, value in given.items():
            if key not in takes:
                expected = (
                    _("expected one of: {keys}").format(keys=", ".join(takes))
                    if takes
                    else _("it takes none")
                )
                raise UserError(
                    _("{where}: {key}: unknown key; {expected}").format(
                        where=where, key=key, expected=expected
                    )
                )
            if not takes[key].fits(value):
                expected = reason(takes[key].expected)
                raise UserError(
                    _("{where}: {key}: expected {expected}").format(
                        where=where, key=key, expected=expected
                    )
                )
        if given and objection is not None and (problem := objection(given)):
            raise UserError(f"{where}: {problem}")


def remarks(settings: Settings) -> list[str]:
    """What a user who named experiments, or set options of a profile's, should know before."""
    known = _known()
    found = []
    for name in settings.experiments or settings.options:
        one = known.get(name)
        if one is None or one.remark is None:
            continue
        share = None if settings.experiments else one.profiles.get(settings.profile)
        if settings.experiments or share is not None:
            preset = share.options if share is not None else {}
            found.append(one.remark({**preset, **settings.options.get(name, {})}))
    return [line for line in found if line is not None]


def _known() -> dict[str, Experiment]:
    from probe.experiments import load

    return load()


def _no_experiment(name: str, known: Iterable[str]) -> str:
    return _("there is no experiment {name!r}; there are: {known}").format(
        name=name, known=", ".join(sorted(known))
    )


def _argument(url: str, *, lab: bool) -> Target:
    """A target of the command line; it has the purpose that the bundled list knows."""
    try:
        return Target(
            parsed := parse_target(url, lab=lab), source=ARGUMENT, purpose=purpose_of(parsed)
        )
    except TargetError as error:
        message = f"{_(ARGUMENT)}: {error}"
        if Path(url).is_file() or url in targets.list_names():
            message += _(" (for a list: --targets {name})").format(name=url)
        raise UserError(message) from error
