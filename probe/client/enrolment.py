"""Enrolment: register our key with a collector that does not know it."""

from probe.client.collector_client import CollectorClient, CollectorRefused
from probe.client.keys import Identity, Keys
from probe.i18n import _


async def ensure_enrolled(
    client: CollectorClient, keys: Keys, identity: Identity, invite: str | None
) -> None:
    """Set the client's identity to one that the collector knows; enrol it if necessary."""
    if identity.enrolment is None:
        identity = await _enrol(client, keys, identity, invite)
    client.identity = identity


async def re_enrol(client: CollectorClient, keys: Keys, invite: str | None) -> None:
    """Enrol again with a collector that no longer knows our key."""
    if client.identity is None:
        raise CollectorRefused(_("{url}: no key to enrol").format(url=client.endpoint.url), 401)
    client.identity = await _enrol(client, keys, client.identity, invite)


def remember_address(client: CollectorClient, keys: Keys) -> None:
    """Save the collector's current address for days on which its name does not resolve."""
    identity, address = client.identity, client.address
    if identity and identity.enrolment and address and client.endpoint.name:
        known = identity.enrolment.addresses
        if known[:1] != (address,):
            others = tuple(other for other in known if other != address)[:3]
            collector_id = identity.enrolment.collector_id
            keys.remember(identity, collector_id, addresses=(address, *others))


async def _enrol(
    client: CollectorClient, keys: Keys, identity: Identity, invite: str | None
) -> Identity:
    reply = await client.enrol(identity, invite, identity.role)
    known = identity.enrolment.addresses if identity.enrolment else ()
    return keys.remember(identity, reply.collector_id, addresses=known)
