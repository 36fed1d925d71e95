"""Name the networks of routers, servers and the resolver by the user's table of networks.

The table (setting `asn_table`) is read once, for the few addresses that are asked for together. A
record gets numbers and countries, and no address that it would not have without.
"""

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec.structs import replace

from probe.asn_table import UNKNOWN_OWNER, AsnTableError, Owner, check, look_up
from probe.config import Settings
from probe.errors import UserError
from probe.model import Http, Ping, Record, Step, Steps, Tcp, Tls
from probe.public_address import is_global

_NAMED = frozenset({"router", "server"})


def table_of_networks(settings: Settings) -> Path | None:
    """The user's table of networks, or None; `UserError` if the file is no such table."""
    table = Path(settings.asn_table) if settings.asn_table else None
    try:
        check(table)
    except AsnTableError as error:
        raise UserError(str(error)) from error
    return table


class NetworkTable:
    """The user's table; without one nothing has a name."""

    def __init__(self, table: Path | None) -> None:
        self._table = table
        self._known: dict[str, Owner] = {}

    async def asn_of(self, address: str) -> int | None:
        """The network of one address; None for one that is not public or not in the table."""
        return (await self.owners([address]))[address].asn

    async def country_of(self, address: str) -> str | None:
        """The country of one address; None for one that is not public or not in the table."""
        return (await self.owners([address]))[address].country

    async def systems(self, records: Iterable[Record]) -> dict[str, int]:
        """The networks of the addresses that the records' connections went to."""
        if self._table is None:
            return {}
        asked = {s.address for one in records for s in one.steps if isinstance(s, Tcp | Tls | Http)}
        owners = await self.owners(asked)
        return {address: owner.asn for address, owner in owners.items() if owner.asn}

    async def with_networks(self, steps: Steps) -> Steps:
        """The same steps; pings of routers and of the server have their network and country."""
        found = [s.address for s in steps if _is_named(s) and isinstance(s, Ping) and s.address]
        if self._table is None or not found:
            return steps
        owners = await self.owners(found)
        return tuple(_named(step, owners) for step in steps)

    async def owners(self, addresses: Collection[str]) -> dict[str, Owner]:
        """The owner of each address."""
        new = {one for one in addresses if one not in self._known and _is_asked_for(one)}
        if self._table is not None and new:
            self._known.update(dict.fromkeys(new, UNKNOWN_OWNER))
            self._known.update(await asyncio.to_thread(_look_up, self._table, new))
        return {one: self._known.get(one, UNKNOWN_OWNER) for one in addresses}


def _look_up(table: Path, addresses: Collection[str]) -> dict[str, Owner]:
    """A table that cannot be read any more names nothing; at the start it was checked."""
    try:
        return look_up(table, addresses)
    except AsnTableError:
        return {}


def _is_asked_for(address: str) -> bool:
    return ":" not in address and is_global(address)


def _is_named(step: Step) -> bool:
    return isinstance(step, Ping) and step.what in _NAMED


def _named(step: Step, owners: dict[str, Owner]) -> Step:
    if not isinstance(step, Ping) or not _is_named(step) or step.address not in owners:
        return step
    owner = owners[step.address]
    return replace(step, asn=owner.asn, country=owner.country)
