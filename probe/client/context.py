"""The client side of the probe: collectors, keys and spool. Nothing here measures.

A heartbeat starts a process every five minutes, so this module imports no measurement code.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, field

from probe.client import endpoint
from probe.client.endpoint import CollectorEndpoint, EndpointError
from probe.client.keys import Keys
from probe.client.spool import Spool
from probe.config import Settings
from probe.errors import UserError
from probe.permission import Permission

NONE = "none"
HELPER = "ooni:"


class ClientContext(Struct, frozen=True):
    """Settings, keys, spool and endpoints, shared by all rounds of a repeating run.

    Attributes:
        helper: A test helper of OONI's that is asked in place of collectors.
        permission: Looked at before each round, heartbeat, recheck and upload, and meanwhile.
    """

    settings: Settings
    state: Path
    keys: Keys
    spool: Spool
    collectors: tuple[CollectorEndpoint, ...]
    controls: tuple[CollectorEndpoint, ...]
    helper: CollectorEndpoint | None = None
    permission: Permission = field(default_factory=Permission)


def assemble(
    settings: Settings, state: Path, permission: Permission | None = None
) -> ClientContext:
    """Build the context; `UserError` for an invalid URL or root file."""
    if settings.ca_file is not None:
        from probe.certificates.roots import Roots, RootsError

        try:
            Roots.file(settings.ca_file)
        except RootsError as error:
            raise UserError(str(error)) from error
    collectors = _endpoints(settings.collector, settings)
    controls, helper = collectors, None
    if settings.control == NONE or settings.role == "control":
        controls = ()
    elif settings.control is not None and settings.control.startswith(HELPER):
        controls = ()
        (helper,) = _endpoints((settings.control.removeprefix(HELPER),), settings)
    elif settings.control is not None:
        controls = _endpoints((settings.control,), settings)
    keys, spool, permission = Keys(state), Spool(state), permission or Permission()
    return ClientContext(settings, state, keys, spool, collectors, controls, helper, permission)


def _endpoints(urls: Sequence[str], settings: Settings) -> tuple[CollectorEndpoint, ...]:
    ca_file = Path(settings.ca_file) if settings.ca_file else None
    try:
        return tuple(
            endpoint.parse(url, ca_file=ca_file, lab=settings.lab) for url in dict.fromkeys(urls)
        )
    except EndpointError as error:
        raise UserError(str(error)) from error
