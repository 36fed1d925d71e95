"""Steps of a trace, written as what became of each name at each distance."""

from collections.abc import Iterator

from probe.analysis.trace_hops import Layer
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Http, Packet, Ping, Reply, Role, Steps, Tcp, Tls, Travel

ADDRESS = "203.0.113.7"
OWN = Packet(at=0.05, by="peer", ip_ttl=50, ip_id=0, flags="SA", window=65160, acked=0)
# r reset, c closed, x expired, s silent, a answered, R reset and expired too
FATES = {
    "r": (Failure.RESET, False),
    "R": (Failure.RESET, True),
    "c": (Failure.EOF, False),
    "x": (Failure.HOST_UNREACHABLE, True),
    "s": (Failure.TIMEOUT, False),
    "a": (None, False),
}


def walk(
    layer: Layer,
    harmless: str,
    target: str,
    *,
    tries: int = 2,
    again: bool = True,
    packets: tuple[Packet, ...] = (),
) -> Steps:
    """One letter a hop for each name, in so many flows that both share; a blank is no look.

    `again`: the harmless name is sent again at the end.
    """
    trail = StepLog()
    for role, fates in ((Role.HARMLESS, harmless), (Role.TARGET, target)):
        for ttl, letter in enumerate(fates, 1):
            for flow in range(1, 1 + tries if letter.strip() else 1):
                seen = packets if role is Role.TARGET and letter in "rR" else ()
                trail.chain(look(layer, letter, ttl, seen), role=role, try_=flow)
    for ttl, letter in enumerate(harmless, 1):
        if again and letter.strip():
            trail.chain(look(layer, letter, ttl), role=Role.HARMLESS, try_=50)
    return trail.steps


def look(
    layer: Layer, letter: str, ttl: int | None, packets: tuple[Packet, ...] = ()
) -> Iterator[Tcp | Tls | Http | Dns]:
    failure, expired = FATES[letter]
    travel = Travel(ttl=ttl, expired=expired, packets=packets)
    size = 0 if failure else 3000
    if layer == "dns":
        replies = (Reply(at=0.1, rcode=0, answers=("203.0.113.9",)),) if not failure else ()
        yield Dns(name="n", resolver="8.8.8.8", failure=failure, travel=travel, replies=replies)
        return
    yield Tcp(address=ADDRESS, port=443, travel=Travel(packets=(OWN,)) if packets else None)
    if layer == "tls":
        yield Tls(address=ADDRESS, port=443, sni="n", failure=failure, travel=travel, bytes_in=size)
    else:
        yield Http(
            url="http://n/",
            address=ADDRESS,
            port=80,
            host="n",
            failure=failure,
            travel=travel,
            bytes_in=size,
        )


def router(ttl: int, address: str | None = "198.51.100.1") -> Ping:
    return Ping(what="router", address=address, travel=Travel(ttl=ttl, expired=True))
