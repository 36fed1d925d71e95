"""What may be told of who is heard now: nothing of networks that few probes measure on. Pure.

Rule: a reader who asks for metrics or events each minute must not learn when the only
volunteer of a network is at home. Of such a network only whole days tell, up to the last full hour.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from collector.places import NetworkKey
from collector.standing import DAY, Standings

HOUR = 3600.0


def networks_with_few(
    networks: Mapping[str, NetworkKey],
    beats: Mapping[str, Sequence[float]],
    standings: Standings,
    *,
    now: float,
    least: int,
) -> dict[NetworkKey, int]:
    """The networks on which fewer probes than these were heard today and the day before.

    Args:
        networks: Where each key is. beats: Its heartbeats, sorted.
        least: So many independent, trusted probes hide each other; 1: nothing is hidden.

    Returns:
        The number of probes of each.
    """
    if least <= 1:
        return {}
    since, until = (now // DAY - 1) * DAY, now // HOUR * HOUR
    lately: dict[NetworkKey, set[str]] = {network: set() for network in networks.values()}
    for key, network in networks.items():
        times = beats.get(key, ())
        if bisect_left(times, until) > bisect_left(times, since):
            lately[network].add(key)
    heard = {one: standings.independent(keys, one) for one, keys in lately.items()}
    return {network: n for network, n in heard.items() if n < least}


def without_few(
    heard: Mapping[NetworkKey, int], few: Mapping[NetworkKey, int], least: int
) -> dict[NetworkKey, int]:
    """How many are heard, where networks with few are one (ASN 0) for each country.

    Where a country's networks with few have too few together, they are left out.
    """
    found: dict[NetworkKey, int] = {}
    together: dict[str, int] = {}
    for network, n in few.items():
        together[network[0]] = together.get(network[0], 0) + n
    for network, n in heard.items():
        if network not in few:
            found[network] = found.get(network, 0) + n
        elif together[network[0]] >= least:
            rest = network[0], 0
            found[rest] = found.get(rest, 0) + n
    return found
