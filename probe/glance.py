"""A glance at the line, when a collector did not answer: who else does, in a few kilobytes.

It tells "the collector is gone" from "everything abroad is gone" from "everything is gone". Sites
prove their names, so that a portal or a forged answer does not pass for the world. They are asked
one after the other and in turn, and the first that answers ends the question.
"""

from collections.abc import Sequence
from typing import Literal

from probe.experiments.port import Net, Reference
from probe.plan import host_of, port_of

LIMIT = 6.0
EACH = 2


async def glance(
    net: Net, sites: Sequence[Reference], turn: int
) -> Literal["abroad", "home", "nothing"]:
    """How far this line reaches now; `turn` says where in the list to begin."""
    if await _any_answers(net, [one for one in sites if one.foreign is not False], turn):
        return "abroad"
    home = await _any_answers(net, [one for one in sites if one.foreign is False], turn)
    return "home" if home else "nothing"


async def _any_answers(net: Net, sites: Sequence[Reference], turn: int) -> bool:
    for number in range(min(EACH, len(sites))):
        if await _answers(net, sites[(turn + number) % len(sites)].url):
            return True
    return False


async def _answers(net: Net, url: str) -> bool:
    host = host_of(url)
    for resolver in net.resolvers[:2]:
        asked = await net.dns(host, "A", resolver, limit=LIMIT)
        address = next((one for one in asked.addresses if net.safe(one)), None)
        if address is None:
            continue
        if port_of(url) == 80:
            return (await net.tcp(address, 80, limit=LIMIT)).failure is None
        _, shaken = await net.tls(address, port_of(url), host, limit=LIMIT)
        return shaken is not None and shaken.trust is not None and shaken.trust.valid
    return False
