"""Which network a record or heartbeat is counted for: its peer's, not the one that it claims.

Rule: a claim that the connection does not bear out has no vote, unless other connections showed the
key on that network within the last weeks: a spool may be sent through another network. A key has a
limited number of networks.
"""

from collections.abc import Iterable
from typing import NamedTuple

# Country 'ZZ' and ASN 0 (reserved by RFC 7607) are unknown.
UNKNOWN = ("ZZ", 0)
# More than a traveller has; each invented network would be a row and a series.
PLACES_LIMIT = 32
# Networks are remembered for so long, in seconds; a spool is kept for weeks.
PLACE_SECONDS = 30 * 86_400.0

NetworkKey = tuple[str, int]  # country, ASN


class RequestOrigin(NamedTuple):
    """Where a request comes from; the address itself is not kept.

    Attributes:
        country, asn: Of the client's address by the table; None: not known.
        own: It came from this machine or in a laboratory, so its claim is believed.
        prefix: A keyed hash of its /24 or /48; empty for `own`, or when it is not known.
    """

    country: str | None = None
    asn: int | None = None
    own: bool = False
    prefix: str = ""


class Located(NamedTuple):
    """The network that something is counted for, and whether it has a vote there."""

    country: str
    asn: int
    votes: bool


class KeyPlaces:
    """The networks of one key, and those that the present request adds.

    Attributes:
        fresh: Networks on which the present request shows the key.
    """

    def __init__(self, known: Iterable[NetworkKey], origin: RequestOrigin) -> None:
        self._known = set(known)
        self._origin = origin
        self.fresh: set[NetworkKey] = set()

    def locate(self, claimed: NetworkKey) -> Located:
        """The network that a claim is counted for."""
        peer = self._peer()
        if peer == UNKNOWN:
            believed = self._origin.own or claimed in self._known
            return self._show(claimed) if believed else Located(*UNKNOWN, votes=True)
        if _agree(claimed, peer):
            return self._show(peer)
        if claimed in self._known:
            return Located(*claimed, votes=True)
        return Located(*peer, votes=False)

    def here(self) -> Located:
        """The network of the connection, not the one that is claimed."""
        return self._show(self._peer())

    def _peer(self) -> NetworkKey:
        return self._origin.country or "ZZ", self._origin.asn or 0

    def _show(self, network: NetworkKey) -> Located:
        """A network on which this request shows the key; unknown beyond the limit."""
        if network == UNKNOWN or network in self._known:
            self.fresh.add(network)
            return Located(*network, votes=True)
        if len(self._known) >= PLACES_LIMIT:
            return Located(*UNKNOWN, votes=False)
        self._known.add(network)
        self.fresh.add(network)
        return Located(*network, votes=True)


def _agree(claimed: NetworkKey, peer: NetworkKey) -> bool:
    """Whether a claim is compatible with the peer's network; what is not known is compatible."""
    if claimed[1] and peer[1]:
        return claimed[1] == peer[1]
    return claimed[0] in {"ZZ", peer[0]} or peer[0] == "ZZ"
