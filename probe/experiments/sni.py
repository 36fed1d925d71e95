"""Offer a name and a harmless one to the same address, in turns: only the name differs.

The address need not be the site's. At an unrelated server (the collector's, a public resolver's)
the trigger is shown without the site being involved; a server that answers any name is enough.
Order: harmless, target, harmless, target, harmless. A harmless name that fails proves nothing.

Source: the design of OONI's sni_blocking (ts-024), which offers each name once and to one helper.
"""

from collections.abc import Sequence
from functools import partial

from probe.compare import is_address
from probe.experiments.browse import UrlHop, measure_reference, resolve
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.interleave import Offer, interleave, offer_elsewhere, tls_offer
from probe.experiments.operations import ClientHello
from probe.experiments.step_log import StepLog
from probe.model import Dns, Role, Step, Steps, Tls

TURNS = 2
_HTTPS = 443
_OTHER_HELLOS: tuple[ClientHello, ...] = ("tls12", "tls13", "split")


async def measure(task: Task, net: Net) -> Steps:
    """Compare the two names at one address, between reference measurements."""
    log = StepLog()
    hop = UrlHop(task.url)
    address = await _address(task, net, log, hop)
    if address is None or not task.harmless or is_address(hop.host):
        return log.steps
    await measure_reference(net, log, task.reference)
    offer = tls_offer(net, log, address, hop.tls_port)
    tries = range(1, TURNS + 1)
    await interleave(offer, hop.host, task.harmless_name, tries, last=TURNS + 1)
    own = [s for s in log.steps if s.role is Role.TARGET and not isinstance(s, Dns)]
    if task.profile == "full" and any(s.failure is not None for s in own):
        # Whether they fail too shows what a middlebox reads: one version, or whole segments.
        for hello in _OTHER_HELLOS:
            other = tls_offer(net, log, address, hop.tls_port, hello=hello)
            await other(hop.host, Role.NEUTRAL, 1)
    if _always_failed(own):
        # A server may fail for one of its names by itself, or for this client alone; an unrelated
        # one does not know the name.
        elsewhere = partial(_offer_at, net, log)
        await offer_elsewhere(task.references, elsewhere, hop.host, task.harmless[0])
    await measure_reference(net, log, task.reference)
    return log.steps


def _always_failed(own: Sequence[Step]) -> bool:
    """Each handshake with the target's name failed after its connection was open."""
    shaken = [s for s in own if isinstance(s, Tls)]
    return bool(shaken) and all(s.failure is not None for s in shaken)


def _offer_at(net: Net, log: StepLog, address: str) -> Offer:
    return tls_offer(net, log, address, _HTTPS)


async def _address(task: Task, net: Net, log: StepLog, hop: UrlHop) -> str | None:
    """The address in the options, or the first that the resolvers return."""
    configured = task.options.get("address")
    if isinstance(configured, str):
        return configured if net.safe(configured) else None
    found = await resolve(task, net, log, hop, try_=1)
    return next((one for one in found if net.safe(one)), None)


EXPERIMENT = Experiment("sni", 1, measure)
