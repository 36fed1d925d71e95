"""Who reads: the public, or the operator, who sees everything in full detail.

Rule: a request with a wrong token is refused; it is never answered as one without.
"""

from collections.abc import Iterable
from math import ceil
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from aiohttp import web
from msgspec.structs import replace

from collector import operator_token
from collector.api.http import Refused
from collector.api.parameters import Instant
from collector.care import HOUR, Care, hour_of
from collector.conduct import read_standings
from collector.service import SERVICE, Service
from collector.standing import Standings

if TYPE_CHECKING:
    from msgspec import Struct

_SCHEME = "bearer "


class _Period(Protocol):
    """Parameters with a period."""

    @property
    def since(self) -> Instant | None: ...
    @property
    def until(self) -> Instant | None: ...


P = TypeVar("P", bound=_Period)


def sees_all(request: web.Request) -> bool:
    """Whether a request bears the operator's token.

    Raises:
        Refused: It bears another one, or there is none here.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return False
    known = request.app[SERVICE].operator_token
    is_bearer = header[: len(_SCHEME)].lower() == _SCHEME
    if known is None or not is_bearer:
        raise _refused("this collector takes no such authorization")
    if not operator_token.fits(header[len(_SCHEME) :].strip(), known):
        raise _refused("this is not the operator's token")
    return True


def _refused(message: str) -> Refused:
    return Refused(401, "token", message, headers={"WWW-Authenticate": "Bearer"})


def least_probes(request: web.Request) -> int:
    """So many probes of a network make its looks not coarse for this reader."""
    return 1 if sees_all(request) else request.app[SERVICE].settings.public_min_probes


async def care_for(request: web.Request) -> Care:
    """What decides which looks are coarse for this reader."""
    service, least = request.app[SERVICE], least_probes(request)
    return Care(least, await standings(service) if least > 1 else Standings())


def in_hours(request: web.Request, asked: P) -> P:
    """Parameters whose period has whole hours in public: `since` is cut, `until` is raised.

    Else one could learn the time of a coarse row by asking for ever shorter periods.
    """
    if least_probes(request) <= 1:
        return asked
    since, until = asked.since, asked.until
    hours = {
        "since": None if since is None else Instant(hour_of(since)),
        "until": None if until is None else Instant(ceil(until / HOUR) * HOUR),
    }
    return cast("P", replace(cast("Struct", asked), **hours))


async def standings(service: Service) -> Standings:
    """The standing of every key."""

    async def make() -> Standings:
        lab = service.settings.lab
        return await service.store.read(read_standings(service.clock(), lab=lab), slow=True)

    return await service.results.get("standings", service.snapshots.revision, make)


async def learned(
    request: web.Request, looks: Iterable[tuple[str, int, float]], care: Care | None = None
) -> Care:
    """The care for this reader, with what decides about these looks (country, ASN, time)."""
    care = care or await care_for(request)
    await request.app[SERVICE].store.read(care.learn(looks), slow=True)
    return care
