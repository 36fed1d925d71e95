"""A glance at the line, when a collector did not answer: who else does, in a few kilobytes.

It tells "the collector is gone" from "everything abroad is gone" from "everything is gone". Sites
prove their names, so that a portal or a forged answer does not pass for the world. One site abroad
is asked first, another one each time, and mostly that is the end of it; if it is silent, a second
one and two at home are asked at once: in the dark each answer costs its whole limit.
"""

from collections.abc import Sequence
from typing import Literal

from probe.experiments.interface import Net, Reference
from probe.experiments.operations import DnsQuery, TcpConnect, TlsHandshake
from probe.ordering import host_of, port_of

LIMIT = 4.0
EACH = 2


async def check_reachability(
    net: Net, sites: Sequence[Reference], turn: int
) -> Literal["abroad", "home", "nothing"]:
    """How far this line reaches now; `turn` says where in the list to begin."""
    abroad = _chosen([one for one in sites if one.foreign is not False], turn)
    home = _chosen([one for one in sites if one.foreign is False], turn)
    if abroad and await _answers(net, abroad[0].url):
        return "abroad"
    rest = abroad[1:]
    found = await net.together([_answers(net, one.url) for one in (*rest, *home)])
    if any(found[: len(rest)]):
        return "abroad"
    return "home" if any(found[len(rest) :]) else "nothing"


def _chosen(sites: Sequence[Reference], turn: int) -> list[Reference]:
    """Two of them, in turn."""
    return [sites[(turn + number) % len(sites)] for number in range(min(EACH, len(sites)))]


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
