"""Look again at what began and fell silent, or never answered, in another way.

A line that loses large packets answers small ones; a device that freezes a connection by the name
in its ClientHello lets the same page through under another name.
"""

from probe.analysis.packet_size import answered_when_small, may_be_lost, segment_for
from probe.analysis.slowness import frozen_alike, is_longer
from probe.analysis.web_suspicion import HopView
from probe.experiments.browse import UrlHop, fetch_from
from probe.experiments.interface import Net, Task
from probe.experiments.operations import HttpRequest
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Http, Role, Tcp


async def send_small(
    task: Task, net: Net, log: StepLog, hop: UrlHop, address: str, *, least: int = 2
) -> bool:
    """Fetch twice with small TCP segments, where every large packet may have been lost.

    Once more without, if that was answered: a silence that merely ended proves nothing. `least`:
    how many silences call for it.

    Returns whether it was answered, so that the silence is explained.
    """
    here = _view(task, log, hop).at(address)
    if any(isinstance(s, Tcp) and s.segment_limit is not None for s in here):
        return False  # done before
    if not may_be_lost(here, least):
        return False
    size = segment_for(here)
    # Two at once: a lossy line may lose one of them, which would read as silence to small packets.
    await net.together(
        [fetch_from(net, log, hop, address, try_=n, segment_limit=size) for n in (3, 4)]
    )
    silent = [s for s in here if s.role is Role.TARGET and s.failure is Failure.TIMEOUT]
    if answered_when_small(log.steps, silent) is None:
        return False
    await fetch_from(net, log, hop, address, try_=3)
    return True


async def compare_frozen(task: Task, net: Net, log: StepLog, hop: UrlHop, address: str) -> bool:
    """Fetch a page that froze under a harmless name in the ClientHello, before and after itself.

    Returns whether more of it came under that name, so that nothing is left open.
    """
    here = _view(task, log, hop).at(address)
    own = [s for s in here if isinstance(s, Http) and s.role is Role.TARGET]
    mine = [page for page in own if page.url == hop.url]
    name = task.harmless_name
    if name is None or not hop.secure or not frozen_alike(mine):
        return False
    if not is_longer(await _under_another_name(net, log, hop, address, name), mine):
        return False
    await fetch_from(net, log, hop, address, try_=3)
    await _under_another_name(net, log, hop, address, name)
    return True


def _view(task: Task, log: StepLog, hop: UrlHop) -> HopView:
    return HopView(log.steps, task.controls, hop.url, hop.number)


async def _under_another_name(
    net: Net, log: StepLog, hop: UrlHop, address: str, name: str
) -> Http | None:
    steps = await net.http(HttpRequest(hop.url, address, sni=name))
    log.chain(steps, role=Role.HARMLESS, hop=hop.number, try_=3)
    return next((step for step in steps if isinstance(step, Http)), None)
