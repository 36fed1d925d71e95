"""Tor: its directory authorities, and bridges of the user's own configuration.

An authority's onion-routing port speaks TLS with a certificate made for the day, which does not
prove who made it. A bridge without a transport is measured in the same way, any other by a
connection alone; nothing more is sent to either, and a bridge's address is never recorded.

    [options.tor]
    bridges = ["obfs4 192.0.2.1:443 FINGERPRINT cert=… iat-mode=0", "192.0.2.2:9001"]

Sources: the list built into tor; OONI's tor test (ts-023).
"""

from collections.abc import Mapping

from probe.analysis.service_attempts import attempts
from probe.experiments import service
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.option import LIST
from probe.experiments.private_servers import MOST, Server, listed, read_server, visit
from probe.experiments.step_log import StepLog
from probe.i18n import _
from probe.model import Steps

# Transports whose bridge lines contain no address to connect to.
_WITHOUT_ADDRESS = frozenset({"webtunnel", "snowflake", "meek", "meek_lite"})


def read_bridge(line: object) -> Server | None:
    """The endpoint in a bridge line; None: invalid, or it has none."""
    words = line.split() if isinstance(line, str) else []
    if words and words[0].lower() == "bridge":
        words = words[1:]
    if not words or words[0].lower() in _WITHOUT_ADDRESS:
        return None
    if ":" in words[0]:
        return read_server(words[0].partition("/")[0], default="tls")
    return read_server(words[1].partition("/")[0], default="tcp") if len(words) > 1 else None


def objection(options: Mapping[str, object]) -> str | None:
    """Name the first bridge line that cannot be used."""
    if "bridges" not in options:
        return None
    lines = listed(options, "bridges")
    if lines is None:
        return _("bridges: a list of 1 to {most} bridge lines expected").format(most=MOST)
    for number, line in enumerate(lines, start=1):
        if read_bridge(line) is None:
            return _("bridges: line {number} has no address and port to connect to").format(
                number=number
            )
    return None


async def measure(task: Task, net: Net) -> Steps:
    """Try the authorities and each bridge once."""
    log = StepLog(await service.measure("tor", {}, task, net))
    for what, bridge in bridges(task):
        log.add(await visit(net, bridge, what))
    return log.steps


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Try what failed again."""
    failed = {one.part for one in attempts(seen) if one.failure is not None}
    log = StepLog(seen)
    for what, bridge in bridges(task):
        if what in failed:
            log.add(await visit(net, bridge, what), try_=2)
    return await service.confirm("tor", {}, task, net, log.steps)


def bridges(task: Task) -> list[tuple[str, Server]]:
    """The configured bridges, by the word they have in a record."""
    read = [read_bridge(line) for line in listed(task.options, "bridges") or ()]
    return [(f"bridge {n}", one) for n, one in enumerate(read, start=1) if one is not None]


EXPERIMENT = Experiment(
    "tor",
    1,
    measure,
    confirm,
    service.needs_confirmation,
    service=True,
    objection=objection,
    takes={"bridges": LIST},
)
