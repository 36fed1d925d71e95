"""The composition root: the real dependencies of a run, from the settings.

Importing this module imports everything that measures, so commands import it only to run.
"""

import ipaddress
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from probe import experiments, reference_data
from probe.api_types import BulkReply, RecheckTarget, VantageReply
from probe.client.context import NONE, ClientContext
from probe.client.endpoint import CollectorEndpoint
from probe.config import Settings
from probe.errors import UserError
from probe.experiments.interface import Reference, Resolver
from probe.i18n import _
from probe.net.further import PAGES
from probe.net.resolvers import can_ask
from probe.net.session import NetSession, SessionSettings
from probe.runner import anchor_classes
from probe.runner.dependencies import Controls, ControlSource, RunDependencies
from probe.runner.networks import NetworkTable, table_of_networks
from probe.vantage import VantageLookup

if TYPE_CHECKING:
    from probe.client.control_client import ControlClient
    from probe.client.upload import UploadSummary

# Seconds between the starts of any two connections: a home router's connection table is small.
SPACING = 0.03


class CollectorControls(Struct, frozen=True):
    """Control measurements from collectors, as a `ControlSource`.

    Attributes:
        upload: Collectors that records are sent to; they also answer with the vantage point.
        control: Collectors that are asked for control measurements, often the same; or a test
            helper of OONI's.
    """

    upload: "ControlClient | NoCollectors"
    control: ControlSource

    @property
    def answered(self) -> bool:
        """Whether one of them answered."""
        return self.upload.answered or self.control.answered

    @property
    def answer_times(self) -> Sequence[float]:
        """When one of them answered, Unix time."""
        return (*self.upload.answer_times, *self.control.answer_times)

    @property
    def clock_offset(self) -> float | None:
        """This machine's clock minus a collector's, seconds."""
        return self.upload.clock_offset or self.control.clock_offset

    async def controls(self, inputs: Sequence[str]) -> Controls:
        """Recent control measurements of these targets."""
        return await self.control.controls(inputs)

    async def recheck(self, asks: Sequence[RecheckTarget]) -> Controls:
        """Have controls measure these targets now."""
        return await self.control.recheck(asks)


class NoCollectors:
    """In place of a `ControlClient` where there are none: its HTTP library need not be imported."""

    answered = False
    answer_times: Sequence[float] = ()
    clock_offset: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to close."""

    async def controls(self, inputs: Sequence[str]) -> Controls:
        """None: no collector is configured."""
        del inputs
        return {}

    async def recheck(self, asks: Sequence[RecheckTarget]) -> Controls:
        """None: no control is asked."""
        del asks
        return {}

    async def vantage(self) -> VantageReply | None:
        """Unknown: no collector looks the address up."""
        return None

    async def bulk(self) -> tuple[BulkReply, ...]:
        """None: no collector announces one."""
        return ()


@asynccontextmanager
async def run_dependencies(context: ClientContext) -> AsyncIterator[RunDependencies]:
    """The dependencies of one round."""
    settings = context.settings
    async with (
        _control_client(context, context.collectors) as collectors,
        _control_source(context) as controls,
    ):
        ask = collectors.vantage if context.collectors else None
        vantage = VantageLookup(settings, context.state, ask)
        try:
            yield RunDependencies(
                session=lambda: NetSession(session_settings(settings)),
                experiments=experiments.load(),
                anchors=anchors(settings),
                harmless=reference_data.harmless_names(),
                vantage=vantage.now,
                controls=CollectorControls(collectors, controls),
                bulk_servers=collectors.bulk,
                collectors=tuple(
                    (one.host, one.port) for one in context.collectors if one.scheme == "https"
                ),
                networks=NetworkTable(table_of_networks(settings)),
            )
        finally:
            await vantage.close()


async def upload_spool(context: ClientContext, seconds: float) -> "UploadSummary":
    """Upload the spool."""
    from probe.client.upload import Sender, upload

    settings = context.settings
    sender = Sender(
        context.keys,
        role=settings.role,
        invite=settings.invite,
        budget=max(seconds, 0.1),
        permission=context.permission,
    )
    return await upload(context.spool, context.collectors, sender)


def session_settings(settings: Settings) -> SessionSettings:
    """The settings of the network session: connections are spaced, except in a laboratory."""
    return SessionSettings(
        lab=settings.lab,
        ca_file=Path(settings.ca_file) if settings.ca_file else None,
        resolver=parse_resolver(settings.resolver),
        public=public_resolvers(settings),
        spacing=0.0 if settings.lab else SPACING,
        # A profile for every hour must not cost megabytes; its transfers are longer than a page.
        further_pages=0 if settings.profile == "watch" else PAGES,
    )


def parse_resolver(text: str | None) -> tuple[str, int] | None:
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
        raise UserError(
            _("--resolver {text}: expected IP or IP:PORT, such as 1.1.1.1:53").format(text=text)
        ) from error
    if not 0 < port < 2**16:
        raise UserError(
            _("--resolver {text}: there is no port {port}").format(text=text, port=port)
        )
    if not can_ask(address):
        raise UserError(
            _("--resolver {text}: needs an interface of this machine: fe80::1%eth0").format(
                text=text
            )
        )
    return address, port


def public_resolvers(settings: Settings) -> tuple[Resolver, ...]:
    """The configured public resolvers, else the bundled ones."""
    if settings.resolvers is None:
        return tuple(reference_data.public_resolvers())
    chosen = (parse_resolver(one) for one in settings.resolvers if one != NONE)
    return tuple(Resolver(one[0], *one) for one in chosen if one is not None)


def anchors(settings: Settings) -> tuple[Reference, ...]:
    """The configured anchors, else the bundled ones."""
    if settings.anchors is None:
        return anchor_classes.bundled()
    return tuple(anchor_classes.configured(one) for one in settings.anchors if one != NONE)


def _control_source(context: ClientContext) -> AbstractAsyncContextManager[ControlSource]:
    """Who is asked for control measurements."""
    if context.helper is None:
        return _control_client(context, context.controls)
    from probe.interop.ooni.helper_controls import HelperControls

    return HelperControls(context.helper, lab=context.settings.lab)


def _control_client(
    context: ClientContext, endpoints: Sequence[CollectorEndpoint]
) -> "ControlClient | NoCollectors":
    if not endpoints:
        return NoCollectors()
    from probe.client.control_client import ControlClient

    settings = context.settings
    return ControlClient(endpoints, context.keys, invite=settings.invite, role=settings.role)
