"""Offer one name by several ClientHellos, in turns with a harmless name, to see what is read.

A box that reads names may look for them in whole segments only, in one version of TLS, or not in a
hello with an extension it does not know; and some act on the shape of a hello, whatever the name.
Each hello is sent with the harmless name, the target's, and the harmless one again, at the site's
own address. The ECH-shaped hello never finishes its handshake: what counts is whether it is
answered. `default` is the hello of every other experiment, and it alone decides whether the name is
stopped; the others say what the stopping keys on.
"""

from probe.compare import is_address
from probe.experiments.browse import Site, resolve
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.operations import ClientHello, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.experiments.web import look_at
from probe.failure import Failure
from probe.model import Role, Steps, Tls

HELLOS: tuple[ClientHello, ...] = ("default", "tls12", "tls13", "http11", "noalpn", "split", "ech")


async def measure(task: Task, net: Net) -> Steps:
    """Every hello once, the target's name between two harmless ones."""
    trail = StepLog()
    site = Site(task.url, 0)
    if is_address(site.host) or not task.harmless:
        return trail.steps
    given = await resolve(task, net, trail, site, try_=1)
    for address in [a for a in given if net.safe(a)][:1]:
        for hello in HELLOS:
            await _in_turns(task, net, trail, site, address, hello=hello, try_=1)
            if not any(isinstance(s, Tls) and s.answered for s in trail.steps):
                break  # nobody is there to answer the other hellos
    return trail.steps


def wanted(_: Task, steps: Steps) -> bool:
    """Whether a hello with the name was not answered; an alert is an answer."""
    return any(_is_offer(s) and s.failure not in {None, Failure.SSL_HANDSHAKE} for s in steps)


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Every hello again, between references; the hellos in another order."""
    trail = StepLog(seen)
    site = Site(task.url, 0)
    reference = task.references[0] if task.references else None
    await look_at(net, trail, reference)
    for address in dict.fromkeys(s.address for s in seen if _is_offer(s) and isinstance(s, Tls)):
        for hello in reversed(list(_sent(seen))):
            await _in_turns(task, net, trail, site, address, hello=hello, try_=2)
    await look_at(net, trail, reference)
    return trail.steps


def _sent(seen: Steps) -> dict[ClientHello, None]:
    """The hellos of the first look, in their order."""
    sent = {s.hello for s in seen if isinstance(s, Tls)}
    return dict.fromkeys(hello for hello in HELLOS if hello in sent)


def _is_offer(step: object) -> bool:
    return isinstance(step, Tls) and step.role is Role.TARGET


async def _in_turns(
    task: Task, net: Net, trail: StepLog, site: Site, address: str, *, hello: ClientHello, try_: int
) -> None:
    harmless = task.harmless[task.seed % len(task.harmless)]
    port = site.port if site.secure else 443
    for name, role in (
        (harmless, Role.HARMLESS),
        (site.host, Role.TARGET),
        (harmless, Role.HARMLESS),
    ):
        trail.chain(
            await net.tls(TlsHandshake(address, port, name, hello=hello)), role=role, try_=try_
        )


EXPERIMENT = Experiment("hello", 1, measure, confirm, wanted)
