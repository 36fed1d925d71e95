"""One test of the line's speed for `qazprobe speed`, from the settings to a finished record.

Nothing of ours runs beside it: it holds the lock that a run holds, asks no collector for this
machine's vantage point, and makes one connection at a time. The certificate is verified on a
connection before, and the transfers accept no other key.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from probe import paths, uuid7
from probe.compare import is_address
from probe.config import Settings
from probe.errors import Exit, UserError
from probe.experiments.interface import Task
from probe.experiments.operations import DnsQuery, TlsHandshake, TransferDirection
from probe.experiments.speed import EXPERIMENT
from probe.experiments.step_log import StepLog
from probe.experiments.throughput import (
    TransferPlan,
    TransferRunner,
    TransferServer,
    TransferTier,
)
from probe.i18n import _
from probe.interop.ndt7.client import Ndt7Client
from probe.interop.ndt7.protocol import SECONDS
from probe.interop.ndt7.server_url import Ndt7Url
from probe.judge import RULESET, judge
from probe.model import Record, Role
from probe.net.session import NetSession
from probe.net.target_net import SocketNet
from probe.ordering import Job
from probe.runner import record_builder
from probe.runner.options import open_quota, save_quota
from probe.runner.record_builder import Measurement, RunHeader
from probe.runner.wiring import session_settings
from probe.vantage import VantageLookup

_DIRECTIONS: tuple[TransferDirection, ...] = ("down", "up")


class SpeedRequest(Struct, frozen=True):
    """A server that the user named, and the bytes that each direction may take."""

    server: Ndt7Url
    size: int


async def measure(settings: Settings, state: Path, request: SpeedRequest) -> Record:
    """Measure alone, scrub, judge; `UserError` where nothing can be measured."""
    lock = paths.run_lock(state)
    if not lock.acquire():
        message = _("another run is active (it holds {file})")
        raise UserError(message.format(file=state / paths.LOCK), Exit.LOCKED)
    try:
        return await _measured(settings, state, request)
    finally:
        lock.release()


async def _measured(settings: Settings, state: Path, request: SpeedRequest) -> Record:
    quota = open_quota(state, settings.options.get(EXPERIMENT.name, {}))
    async with NetSession(session_settings(settings)) as session:
        started, origin = datetime.now(UTC), time.monotonic()
        net = session.net(origin)
        runner = TransferRunner(Task("", options={"budget": quota}), net, StepLog())
        try:
            await _transfers(runner, net, request)
        finally:
            save_quota(state, quota)
    elapsed = time.monotonic() - origin
    id_ = uuid7.new(started.timestamp())
    job = Job(EXPERIMENT.name, "")
    measurement = Measurement(id_, job, started, origin, net, runner.log.steps, elapsed)
    header = RunHeader(uuid7.new(started.timestamp()), settings.lab, RULESET)
    vantage = await VantageLookup(settings, state, None).now()
    record = record_builder.build(measurement, header, vantage)
    record = record_builder.fit(record_builder.scrubbed(record))
    return replace(record, verdict=judge(record))


async def _transfers(runner: TransferRunner, net: SocketNet, request: SpeedRequest) -> None:
    server = request.server
    address = await _address(runner.log, net, server)
    pin = server.pin or await _verified_key(runner.log, net, address, server)
    if pin is None:
        return
    name = None if server.host == address else server.host
    end = TransferServer(address, server.port, pin=pin)
    tier = TransferTier(request.size, SECONDS)
    for direction in _DIRECTIONS:
        dialogue = Ndt7Client(server, direction, request.size)
        plan = TransferPlan("L", 1, name, server.authority, end, tier, direction, dialogue)
        await runner.run(plan)


async def _address(log: StepLog, net: SocketNet, server: Ndt7Url) -> str:
    """The server's address: the first public one, IPv4 before IPv6."""
    found = [server.host] if is_address(server.host) else []
    for kind in () if found else ("A", "AAAA") if net.ipv6 else ("A",):
        step = await net.dns(DnsQuery(server.host, net.resolvers[0], type=kind))
        found += log.add(step, role=Role.NEUTRAL).addresses
    for address in found:
        if net.safe(address):
            return address
    if found:
        message = _("{host}: no public address; only --lab measures within a private network")
        raise UserError(message.format(host=server.host))
    raise UserError(_("{host}: no address was found").format(host=server.host), Exit.OFFLINE)


async def _verified_key(log: StepLog, net: SocketNet, address: str, server: Ndt7Url) -> str | None:
    """The server's key, if its certificate is trusted; else None, with the reason in the steps."""
    name = None if server.host == address else server.host
    handshake = TlsHandshake(address, server.port, name, hello="http11", verify=server.host)
    tcp, tls = await net.tls(handshake)
    log.chain((tcp, tls), role=Role.NEUTRAL)
    if tls is None or tls.trust is None or not tls.trust.valid:
        return None
    return tls.trust.leaf_key
