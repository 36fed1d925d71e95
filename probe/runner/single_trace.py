"""One trace of one target for `qazprobe trace`, from the settings to a finished record."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from probe import reference_data, uuid7
from probe.asn_table import Owner
from probe.config import Settings
from probe.errors import Exit, UserError
from probe.experiments import trace as experiment
from probe.experiments.interface import Task
from probe.failure import Failure
from probe.i18n import _
from probe.judge import RULESET, judge
from probe.model import Dns, Ping, Record, Role, Steps
from probe.net.session import NetSession
from probe.ordering import Job
from probe.runner import record_builder
from probe.runner.networks import NetworkTable, table_of_networks
from probe.runner.record_builder import Measurement, RunHeader
from probe.runner.wiring import session_settings
from probe.vantage import VantageLookup


class TraceResult(Struct, frozen=True):
    """The record, scrubbed and judged, the owners of the routers, and the packets, if any."""

    record: Record
    owners: Mapping[str, Owner]
    captures: tuple[bytes, ...]


async def trace(
    settings: Settings, state: Path, url: str, options: Mapping[str, object]
) -> TraceResult:
    """Measure, scrub, judge; `UserError` where nothing can be traced."""
    networks = NetworkTable(table_of_networks(settings))
    vantage = VantageLookup(settings, state, None)
    async with NetSession(session_settings(settings)) as session:
        started, origin = datetime.now(UTC), time.monotonic()
        net = session.net(origin)
        resolver_asn = await networks.asn_of(net.resolvers[0].address)
        task = Task(url, settings.seed or 0, harmless=_harmless(url), options=options)
        steps = await experiment.measure(task, net)
    _check_sent(url, steps)
    elapsed = time.monotonic() - origin
    steps = await networks.with_networks(steps)
    id_ = uuid7.new(started.timestamp())
    job = Job(experiment.EXPERIMENT.name, url)
    measurement = Measurement(id_, job, started, origin, net, steps, elapsed)
    run = uuid7.new(started.timestamp())
    header = RunHeader(run, settings.lab, RULESET, resolver_asn)
    record = record_builder.build(measurement, header, await vantage.now())
    record = record_builder.fit(record_builder.scrubbed(record))
    routers = [s.address for s in record.steps if isinstance(s, Ping) and s.address]
    owners = await networks.owners(routers)
    return TraceResult(replace(record, verdict=judge(record)), owners, tuple(net.captures))


def _check_sent(url: str, steps: Steps) -> None:
    """Raise `UserError` where nothing could be traced, with the reason."""
    if any(step.role is Role.HARMLESS for step in steps):
        return
    host = Job("", url).host
    asked = [step for step in steps if isinstance(step, Dns)]
    found = [address for step in asked for address in step.addresses]
    if not found and all(map(_is_unheard, asked)):
        message = _("{host}: no resolver answers; is this machine online?")
        raise UserError(message.format(host=host), Exit.OFFLINE)
    if not found:
        message = _("{host}: no address was found ({reason}); name one with --address")
        failure = next((step.failure for step in asked if step.failure is not None), None)
        raise UserError(message.format(host=host, reason=failure))
    message = _("{host}: no public IPv4 address among {addresses}; name one with --address")
    raise UserError(message.format(host=host, addresses=", ".join(dict.fromkeys(found))))


def _is_unheard(step: Dns) -> bool:
    """No resolver answered, as without a line; an answer that denies the name is one."""
    return step.failure is Failure.TIMEOUT or bool(step.failure and step.failure.is_unreachable)


def _harmless(url: str) -> tuple[str, ...]:
    """A harmless name, if possible one that is served from the target's own addresses."""
    host = Job("", url).host
    pair = reference_data.harmless_pairs().get(host)
    return (pair,) if pair is not None else reference_data.harmless_names()[:1]
