"""Put the real tools of a run together, from the settings.

Importing this module imports everything that measures: a command does it when it needs that.
"""

import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from probe import experiments, host_network, reference_data
from probe.analysis import facts
from probe.api_types import RecheckAsk
from probe.client.context import NONE, ClientContext
from probe.client.control_client import ControlClient
from probe.client.endpoint import CollectorEndpoint
from probe.client.upload import Sender, upload
from probe.config import Settings
from probe.errors import UserError
from probe.experiments.interface import Reference, Resolver
from probe.judge import judge
from probe.model import Line, Record, RunFacts
from probe.net.session import Session as NetSession, SessionSettings
from probe.runner.ports import Controls, RunDependencies, RunView, Session
from probe.scrub import allowed_addresses, scrub
from probe.urls import TargetError, parse_url
from probe.vantage import VantageLookup

# Seconds between the starts of any two connections: a home router has few of them to spare.
SPACING = 0.03


@dataclass(frozen=True, slots=True)
class Helpers:
    """Collectors that tell us where we are, and those that know of controls; often the same."""

    hosts: ControlClient
    asked: ControlClient

    @property
    def answered(self) -> bool:
        """One of them answered something."""
        return self.hosts.answered or self.asked.answered

    async def controls(self, inputs: Sequence[str]) -> Controls:
        """What controls saw lately."""
        return await self.asked.controls(inputs)

    async def recheck(self, asks: Sequence[RecheckAsk]) -> Controls:
        """What controls see now."""
        return await self.asked.recheck(asks)

    @property
    def heard(self) -> tuple[float, ...]:
        """When one of them answered, Unix time."""
        return (*self.hosts.heard, *self.asked.heard)

    @property
    def clock_offset(self) -> float | None:
        """Our clock minus a collector's."""
        return self.hosts.clock_offset or self.asked.clock_offset


@asynccontextmanager
async def kit(outfit: ClientContext) -> AsyncIterator[RunDependencies]:
    """The tools of one round."""
    settings = outfit.settings
    async with (
        _desk(outfit, outfit.collectors) as hosts,
        _desk(outfit, outfit.controls) as asked,
    ):
        helpers = Helpers(hosts, asked)
        vantage = hosts.vantage if outfit.collectors else None
        whereabouts = VantageLookup(settings, outfit.state, vantage)
        try:
            yield RunDependencies(
                session=lambda: NetSession(session_settings(settings)),
                experiments=experiments.load(),
                anchors=anchors(settings),
                harmless=reference_data.harmless_names(),
                whereabouts=whereabouts.now,
                desk=helpers,
                bulk=hosts.bulk,
                collectors=tuple(
                    (one.host, one.port) for one in outfit.collectors if one.scheme == "https"
                ),
                facts=lambda view: _facts(view, helpers.clock_offset, helpers.heard),
                judge=judge,
                scrub=clean,
                describe=_described,
            )
        finally:
            await whereabouts.close()


async def send(outfit: ClientContext, seconds: float) -> tuple[str, ...]:
    """Send what the spool keeps; returns a line for each collector that does not have all of it."""
    settings = outfit.settings
    sender = Sender(
        outfit.keys, role=settings.role, invite=settings.invite, budget=max(seconds, 0.1)
    )
    summary = await upload(outfit.spool, outfit.collectors, sender)
    if summary.complete:
        return ()
    return summary.problems or ("not everything could be sent",)


def session_settings(settings: Settings) -> SessionSettings:
    """How the network is asked: gently, outside a laboratory."""
    return SessionSettings(
        lab=settings.lab,
        ca_file=Path(settings.ca_file) if settings.ca_file else None,
        resolver=resolver_of(settings.resolver),
        public=public_resolvers(settings),
        spacing=0.0 if settings.lab else SPACING,
    )


def resolver_of(text: str | None) -> tuple[str, int] | None:
    """Read `IP`, `IP:PORT` or `[IPV6]:PORT`, or `UserError`."""
    if text is None:
        return None
    host, port = text.strip(), 53
    bracketed = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+):(\d+)", host)
    if bracketed is not None:
        host = bracketed[1] or bracketed[3]
        port = int(bracketed[2] or bracketed[4] or port)
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError as error:
        raise UserError(f"--resolver {text}: expected IP or IP:PORT, such as 1.1.1.1:53") from error
    if not 0 < port < 2**16:
        raise UserError(f"--resolver {text}: there is no port {port}")
    return address, port


def public_resolvers(settings: Settings) -> tuple[Resolver, ...]:
    """Who else is asked for names: the bundled ones, unless others were chosen."""
    if settings.resolvers is None:
        return tuple(reference_data.public_resolvers())
    chosen = (resolver_of(one) for one in settings.resolvers if one != NONE)
    return tuple(Resolver(one[0], *one) for one in chosen if one is not None)


def anchors(settings: Settings) -> tuple[Reference, ...]:
    """Sites that must work: the bundled ones, unless others were chosen."""
    if settings.anchors is None:
        return tuple(Reference(one.url, None, one.foreign) for one in reference_data.anchors())
    return tuple(Reference(_url(one)) for one in settings.anchors if one != NONE)


def _url(text: str) -> str:
    try:
        return parse_url(text)
    except TargetError as error:
        raise UserError(f"anchors: {error}") from error


def clean(record: Record) -> Record:
    """Without any address but those that were answered for the target or dialled."""
    return scrub(record, allowed=allowed_addresses(record.steps))


def _desk(outfit: ClientContext, endpoints: Sequence[CollectorEndpoint]) -> ControlClient:
    settings = outfit.settings
    return ControlClient(endpoints, outfit.keys, invite=settings.invite, role=settings.role)


def _facts(
    view: RunView, clock_offset: float | None, heard: Sequence[float]
) -> Callable[[Record], Line]:
    found = facts.Facts(
        view.before, view.after, view.records, clock_offset=clock_offset, heard=heard
    )
    return lambda record: found.of(None if record.experiment == "run" else record)


def _described(session: Session, found: RunFacts) -> RunFacts:
    return replace(
        found,
        roots=session.roots,
        vpn=host_network.vpn(),
        proxy=host_network.proxy(),
        resolvers_dead=tuple(session.resolvers_dead),
    )
