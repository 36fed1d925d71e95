"""Facts of the run that experiments get as options: anchors, collectors, bulk servers, the quota.

The quota's usage is kept in the state folder, so that many short runs stay under one daily cap.
Bulk servers are kept there too: during a shutdown, the collectors that announce them may be
unreachable.
"""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from probe import atomic_files
from probe.api_types import BulkReply
from probe.experiments.interface import Experiment, RunFact
from probe.experiments.throughput import ServerHealth
from probe.model import Data
from probe.ordering import Job
from probe.reference_data import Anchor
from probe.runner.daily_quota import DAILY_BYTES, UNMETERED_BYTES, DailyQuota, QuotaUsage, today
from probe.runner.dependencies import RunDependencies
from probe.runner.follow_up import follow_up_experiment

QUOTA_FILE = "throughput.json"
SERVERS_FILE = "bulk.json"
MAX_SERVERS = 16
FORGET_SECONDS = 60 * 86_400.0

OptionsByExperiment = Mapping[str, Mapping[str, object]]


class SavedServer(Data, frozen=True, kw_only=True):
    """A bulk server, and when a collector last announced it (Unix time)."""

    at: float
    server: BulkReply


class RunOptions(msgspec.Struct):
    """The options of each experiment of a run.

    Attributes:
        by_experiment: Configured options win over facts of the run, except for the quota and the
            servers' health.
        quota: What may still be transferred today.
    """

    by_experiment: dict[str, Mapping[str, object]]
    dependencies: RunDependencies
    state: Path
    quota: DailyQuota
    _servers: tuple[BulkReply, ...] | None = None
    _health: ServerHealth = msgspec.field(default_factory=ServerHealth)

    async def give_transfer_options(self, experiment: Experiment) -> None:
        """Add bulk servers and the quota; collectors are asked for servers once a run.

        Servers of the configuration win over those that collectors announce.
        """
        options = self.by_experiment.get(experiment.name, {})
        if "bulk_servers" in experiment.given:
            if self._servers is None:
                announced = await self.dependencies.bulk_servers()
                self._servers = known_servers(self.state, announced)
            options = {"bulk": self._servers, **options, "standing": self._health}
        if "daily_quota" in experiment.given:
            options = {**options, "budget": self.quota}
        self.by_experiment[experiment.name] = options

    async def prepare_follow_up(self, experiment: Experiment) -> bool:
        """Add what the follow-up experiment is given; False when the quota is used up."""
        if not self.quota.left:
            return False
        await self.give_transfer_options(experiment)
        return True


@asynccontextmanager
async def run_options(
    configured: OptionsByExperiment,
    jobs: Iterable[Job],
    dependencies: RunDependencies,
    state: Path,
) -> AsyncIterator[RunOptions]:
    """The options of a run; the quota's usage is saved when it ends, however it ends."""
    experiments = dependencies.experiments
    names = dict.fromkeys(job.experiment for job in jobs)
    metered = [
        experiments[name]
        for name in names
        if name in experiments and "daily_quota" in experiments[name].given
    ]
    follow_up = follow_up_experiment(experiments)
    # The follow-up may spend the quota too, so its limits win.
    limits: dict[str, object] = {}
    for experiment in (*metered[:1], *([follow_up] if follow_up is not None else [])):
        limits |= configured.get(experiment.name, {})
    quota = open_quota(state, limits)
    usage = quota.usage
    options = RunOptions(
        _with_run_facts(configured, dependencies, state), dependencies, state, quota
    )
    for experiment in metered:
        await options.give_transfer_options(experiment)
    try:
        yield options
    finally:
        if quota.usage != usage:
            save_quota(state, quota)


def open_quota(state: Path, options: Mapping[str, object]) -> DailyQuota:
    """Today's quota: the saved usage, and the configured cap.

    `daily_bytes` sets the cap; `unmetered = true` raises it for lines that are not paid by volume.
    """
    try:
        saved = msgspec.json.decode((state / QUOTA_FILE).read_bytes(), type=QuotaUsage)
    except (OSError, msgspec.MsgspecError):
        saved = None
    chosen = options.get("daily_bytes")
    default = UNMETERED_BYTES if options.get("unmetered") is True else DAILY_BYTES
    cap = chosen if isinstance(chosen, int) and chosen >= 0 else default
    return DailyQuota(today(saved, datetime.now(UTC).date().isoformat()), cap)


def save_quota(state: Path, quota: DailyQuota) -> None:
    """Keep today's usage; without a word on a full disk, of which the user was warned already."""
    with suppress(OSError):
        atomic_files.write(state / QUOTA_FILE, msgspec.json.encode(quota.usage))


def known_servers(
    state: Path, announced: Iterable[BulkReply], *, now: float | None = None
) -> tuple[BulkReply, ...]:
    """The servers announced now, then those of earlier days, newest first; all are saved."""
    moment = time.time() if now is None else now
    fresh = {(one.address, one.port): SavedServer(at=moment, server=one) for one in announced}
    saved = _saved_servers(state)
    servers = {**fresh, **{key: one for key, one in saved.items() if key not in fresh}}
    recent = [one for one in servers.values() if 0 <= moment - one.at <= FORGET_SECONDS]
    newest = sorted(recent, key=lambda one: -one.at)[:MAX_SERVERS]
    if fresh:
        with suppress(OSError):
            atomic_files.write(state / SERVERS_FILE, msgspec.json.encode(newest))
    return tuple(one.server for one in newest)


def _saved_servers(state: Path) -> dict[tuple[str, int], SavedServer]:
    try:
        saved = msgspec.json.decode((state / SERVERS_FILE).read_bytes(), type=list[SavedServer])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {(one.server.address, one.server.port): one for one in saved}


def _with_run_facts(
    configured: OptionsByExperiment, dependencies: RunDependencies, state: Path
) -> dict[str, Mapping[str, object]]:
    """The configured options, completed by facts of the run that need no request."""
    # A bulk server is a machine of ours: whether it accepts a connection or refuses it, its answer
    # shows that packets get through.
    servers = known_servers(state, ())
    facts: Mapping[RunFact, Mapping[str, object]] = {
        "anchors": {
            "anchors": tuple(
                Anchor(one.url, foreign=one.foreign, essential=one.essential)
                for one in dependencies.anchors
            ),
            "country_of": dependencies.networks.country_of,
        },
        "collectors": {"collectors": dependencies.collectors},
        "own_server": {"own_server": servers[0].address} if servers else {},
    }
    options = dict(configured)
    for name, experiment in dependencies.experiments.items():
        for fact in experiment.given & facts.keys():
            options[name] = {**facts[fact], **options.get(name, {})}
    return options
