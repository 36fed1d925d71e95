"""Offer one name in several ClientHellos, between harmless names, to see what a middlebox reads.

A middlebox that reads names may look for them in whole segments only, in one version of TLS, or not
in a hello with an extension it does not know; some react to the shape of a hello and not to the
name. Each hello is sent with the harmless name, the target's, and the harmless one again, at the
site's own address. Where it answers the harmless name no longer, the steps end: it is blocked for
a while, or dead. The ECH-shaped hello never finishes its handshake: what counts is whether it is
answered. `default` is the hello of every other experiment, and it alone decides whether the name is
blocked; the others show what the blocking keys on.
"""

from probe.compare import is_address
from probe.experiments.browse import UrlHop, measure_reference, resolve
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.interleave import interleave, offer_in_forms, tls_offer
from probe.experiments.operations import ClientHello
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Role, Step, Steps, Tls

HELLOS: tuple[ClientHello, ...] = (
    "default",
    "tls12",
    "tls13",
    "http11",
    "noalpn",
    "split",
    "ech",
)


async def measure(task: Task, net: Net) -> Steps:
    """Every hello once, the target's name between two harmless ones."""
    log = StepLog()
    hop = UrlHop(task.url)
    if is_address(hop.host) or not task.harmless:
        return log.steps
    resolved = await resolve(task, net, log, hop, try_=1)
    address = next((a for a in resolved if net.safe(a)), None)
    if address is not None:
        await offer_in_forms(
            HELLOS,
            lambda hello: tls_offer(net, log, address, hop.tls_port, hello=hello),
            usual="default",
            target=hop.host,
            harmless=task.harmless_name,
        )
    return log.steps


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Whether a hello with the name was not answered; an alert is an answer."""
    return any(_is_offer(s) and s.failure not in {None, Failure.SSL_HANDSHAKE} for s in steps)


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Every hello again in reverse order, between reference measurements."""
    log = StepLog(seen)
    hop = UrlHop(task.url)
    sent = {s.hello for s in seen if isinstance(s, Tls)}
    hellos: list[ClientHello] = [one for one in reversed(HELLOS) if one in sent]
    await measure_reference(net, log, task.reference)
    for address in dict.fromkeys(s.address for s in seen if _is_offer(s) and isinstance(s, Tls)):
        for hello in hellos:
            offer = tls_offer(net, log, address, hop.tls_port, hello=hello)
            await interleave(offer, hop.host, task.harmless_name, (2,))
    await measure_reference(net, log, task.reference)
    return log.steps


def _is_offer(step: Step) -> bool:
    return isinstance(step, Tls) and step.role is Role.TARGET


EXPERIMENT = Experiment("hello", 1, measure, confirm, needs_confirmation)
