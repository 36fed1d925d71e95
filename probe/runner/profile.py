"""Profiles: which experiments a run makes on which targets when none are named by `-e`.

`full` takes every site; `quick` what matters most on the list, another choice each time; `watch`
the same few canaries each time, so that its rounds can be compared. Each experiment declares its
share of each profile.
"""

import math
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

import msgspec

from probe import atomic_files
from probe.config import Options, Settings
from probe.experiments.interface import Experiment, Share
from probe.i18n import _
from probe.ordering import LIMITS, Job, keyed
from probe.targets import Target

SEED_FILE = "watch.json"
# Of a part of the list, targets of these purposes come first, and the controls of a list last: the
# anchors tell already whether the line works.
_PURPOSES = ("throttle-candidate", "mitm-candidate", "suspected")
_CONTROLS = ("control-domestic", "control-international")
# Where a list has no purposes, categories that were interfered with most come first.
_CATEGORIES = ("NEWS", "GRP", "COMT", "HUMR", "MMED", "POLR", "ANON")
# The groups in their order; the last one has everything else.
_RANKS = (*_PURPOSES, *_CATEGORIES, "")


class ProfilePlan(msgspec.Struct, frozen=True):
    """The jobs of a profile, and what each experiment may cost.

    Attributes:
        shares: By experiment.
        listed: How many targets there were to choose from.
    """

    jobs: tuple[Job, ...]
    shares: Mapping[str, Share] = msgspec.field(default_factory=dict)
    listed: int = 0


def share_options(
    shares: Mapping[str, Share], configured: Options
) -> dict[str, Mapping[str, object]]:
    """The configured options, completed by those of a profile's shares."""
    names = dict.fromkeys((*shares, *configured))
    merged = {
        name: {**(shares[name].options if name in shares else {}), **configured.get(name, {})}
        for name in names
    }
    return {name: options for name, options in merged.items() if options}


def plan(
    named: Sequence[Target],
    listed: Sequence[Target],
    settings: Settings,
    experiments: Mapping[str, Experiment],
    state: Path,
    *,
    keep: bool,
) -> ProfilePlan:
    """The jobs of the configured profile.

    Args:
        named: Targets of the command line: all of them are measured.
        listed: Targets of lists: the profile chooses among them.
        keep: Whether a choice that is to stay the same may be saved in the state folder.
    """
    total = len({target.url for target in (*named, *listed)})
    seed = _seed(settings, state, keep=keep)
    own = {one.name: one.profiles[settings.profile] for one in _members(settings, experiments)}
    pages = [name for name in own if experiments[name].fetches_pages]
    most = min((own[name].targets or len(listed) for name in pages), default=0)
    if most < len(listed):
        listed = choose(listed, most, seed)
    sites = list({target.url: target for target in (*named, *listed)}.values())
    jobs: list[Job] = []
    for name, share in own.items():
        if experiments[name].once:
            jobs.append(Job(name, ""))
            continue
        suitable = [one for one in sites if share.purpose in {None, one.purpose}]
        limit = share.targets if name not in pages else None
        jobs += [Job(name, one.url, one.category) for one in suitable[:limit]]
    return ProfilePlan(tuple(jobs), own, total)


def _members(settings: Settings, experiments: Mapping[str, Experiment]) -> list[Experiment]:
    """The experiments of a profile; a control, whose line is not throttled, only fetches pages."""
    return [
        one
        for one in experiments.values()
        if settings.profile in one.profiles and (settings.role == "probe" or one.fetches_pages)
    ]


def choose(targets: Sequence[Target], most: int, seed: int) -> list[Target]:
    """Some of the targets: in turn from each group, in an order that depends on the seed."""
    groups: dict[tuple[int, str], list[Target]] = {}
    for target in sorted(targets, key=lambda one: keyed(seed, "profile", one.url)):
        groups.setdefault(_group(target), []).append(target)
    ordered = [groups[key] for key in sorted(groups) if key[0] < len(_RANKS)]
    last = [target for key in sorted(groups) if key[0] >= len(_RANKS) for target in groups[key]]
    turns = (target for turn in zip_longest(*ordered) for target in turn if target is not None)
    return [*turns, *last][:most]


def _group(target: Target) -> tuple[int, str]:
    if target.purpose in _CONTROLS:
        return len(_RANKS), ""
    for key in (target.purpose, target.category):
        if key in _RANKS and key:
            return _RANKS.index(key), key
    return len(_RANKS) - 1, ""


def _seed(settings: Settings, state: Path, *, keep: bool) -> int:
    """The seed of the choice: for `watch` the same each time on this machine."""
    if settings.seed is not None:
        return settings.seed
    fresh = secrets.randbits(32)
    if settings.profile != "watch":
        return fresh
    try:
        return msgspec.json.decode((state / SEED_FILE).read_bytes(), type=int)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        if keep:
            with suppress(OSError):
                atomic_files.write(state / SEED_FILE, msgspec.json.encode(fresh))
        return fresh


def described(plan: ProfilePlan, settings: Settings) -> str:
    """What the profile measures and what it may cost, in one line for a person."""
    counts = Counter(job.experiment for job in plan.jobs if job.url)
    once = sorted({job.experiment for job in plan.jobs if not job.url})
    parts = [
        _("{number} of {listed} sites by {experiment}").format(
            number=number, listed=plan.listed, experiment=name
        )
        for name, number in counts.most_common()
    ]
    parts += [_("{experiment} once").format(experiment=name) for name in once]
    limits = LIMITS[settings.profile]
    return _("profile {profile}: {parts}; at most {minutes} minutes and {size} MB").format(
        profile=settings.profile,
        parts=", ".join(parts),
        minutes=math.ceil((settings.max_time or limits.seconds) / 60),
        size=f"{(settings.max_bytes or limits.bytes) / 1e6:.3g}",
    )
