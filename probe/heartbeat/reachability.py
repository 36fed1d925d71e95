"""A short reachability check (a few kilobytes) after a collector did not answer.

It distinguishes an unreachable collector from an outage of foreign sites and of all sites. Sites
are authenticated by TLS, so that a captive portal or a forged answer does not count. One foreign
site is probed first, in rotation, and usually suffices. If it is silent, a second foreign and two
domestic sites are probed in parallel, because each failure takes its whole time limit.
"""

from collections.abc import Sequence
from typing import Literal

from probe.experiments.interface import Net, Reference
from probe.experiments.operations import DnsQuery, TcpConnect, TlsHandshake
from probe.ordering import host_of, port_of

LIMIT = 4.0
PER_CLASS = 2


async def check_reachability(
    net: Net, sites: Sequence[Reference], turn: int
) -> Literal["abroad", "home", "nothing"]:
    """Return how far the connection reaches now; `turn` is the rotation offset in `sites`."""
    abroad = _choose([one for one in sites if one.foreign is not False], turn)
    home = _choose([one for one in sites if one.foreign is False], turn)
    if abroad and await _answers(net, abroad[0].url):
        return "abroad"
    rest = abroad[1:]
    found = await net.together([_answers(net, one.url) for one in (*rest, *home)])
    if any(found[: len(rest)]):
        return "abroad"
    return "home" if any(found[len(rest) :]) else "nothing"


def _choose(sites: Sequence[Reference], turn: int) -> list[Reference]:
    """Choose up to two sites in rotation."""
    return [sites[(turn + number) % len(sites)] for number in range(min(PER_CLASS, len(sites)))]


async def _answers(net: Net, url: str) -> bool:
    host = host_of(url)
    for resolver in net.resolvers[:2]:
        asked = await net.dns(DnsQuery(host, resolver, limit=LIMIT))
        address = next((one for one in asked.addresses if net.safe(one)), None)
        if address is None:
            continue
        if port_of(url) == 80:
            return (await net.tcp(TcpConnect(address, 80, limit=LIMIT))).failure is None
        _, shaken = await net.tls(TlsHandshake(address, port_of(url), host, limit=LIMIT))
        return shaken is not None and shaken.trust is not None and shaken.trust.valid
    return False
