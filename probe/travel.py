"""How far packets went: their TTL, what came back, and where they are stopped. Data only."""

from typing import Literal

import msgspec

from probe import bounds


class Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all serialised data: frozen, named fields, no unknown fields."""


class Packet(Data, frozen=True, kw_only=True):
    """One packet received, as captured by the raw helper.

    Attributes:
        at: Seconds after the connection attempt or request that it belongs to.
        by: `peer` with the server's address as source (perhaps forged), `router` from a router.
        ip_ttl: Its IP TTL on arrival; it differs between packets from different senders.
        ip_id: Its IP identification. window: its TCP window, unscaled.
        flags: Its TCP flags, as letters (`SA`, `R`, `RA` …); empty for a router's packet.
        size: Payload bytes.
        acked: How many of our bytes it acknowledges, or None without an ACK flag.
        address: The router's, unless it is near the user.
    """

    at: bounds.Moment
    by: Literal["peer", "router"]
    ip_ttl: bounds.Octet
    ip_id: bounds.Number32
    flags: bounds.Word = ""
    window: bounds.Number32 | None = None
    size: bounds.Size = 0
    acked: bounds.Signed32 | None = None
    address: bounds.Address | None = None


class Travel(Data, frozen=True, kw_only=True):
    """The TTL of the packets that a step sent, and the packets it received.

    Attributes:
        ttl: IP TTL that they were sent with: the number of routers they may cross, plus one.
        expired: An ICMP time-exceeded error was received; None where the system does not report it.
        packets: The packets received; empty without the raw helper.
    """

    ttl: bounds.Octet | None = None
    expired: bool | None = None
    packets: bounds.Some[Packet] = ()


class StopPlace(Data, frozen=True, kw_only=True):
    """Where packets with the target's name, or to its address, are stopped on their way.

    Attributes:
        by: `network`: by the network on the way. `server`: by the server or in its own network.
            None: at the edge of that network, so by either.
        where: `inside` the country of the vantage point, at its `border`, either of the two where
            the next router is not known (`inside_or_border`), `outside` it, or in the network of
            the `server`. None: not known.
        after, before: The last hop that the packets pass, and the first that they do not.
        server: The hop of the server, or the least that it can be.
        asn, country: The network of the last router that they pass, and its country.
    """

    by: Literal["network", "server"] | None
    where: Literal["inside", "border", "inside_or_border", "outside", "server"] | None = None
    after: bounds.Octet = 0
    before: bounds.Octet = 0
    server: bounds.Octet | None = None
    asn: bounds.Number32 | None = None
    country: bounds.Word | None = None
