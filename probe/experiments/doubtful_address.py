"""Look at an address that the system's resolver alone gives, for what its owner shows there.

A page about an order is often served at port 80 alone. A browser would not see it behind an https
URL, but it tells a forged answer from an outdated one.
"""

from probe.experiments.browse import UrlHop
from probe.experiments.interface import Net
from probe.experiments.operations import HttpRequest
from probe.experiments.step_log import StepLog
from probe.model import Dns, Http, Role

_HTTPS = 443


async def fetch_plain_page(net: Net, log: StepLog, hop: UrlHop) -> None:
    """Fetch the host's page over plain http there, once, where https showed none."""
    queries = [s for s in log.steps if isinstance(s, Dns) and s.name == hop.host]
    given = [a for s in queries if s.resolver == "system" for a in s.addresses if net.safe(a)]
    others = {a for s in queries if s.resolver != "system" for a in s.addresses}
    if not hop.secure or hop.port != _HTTPS or not given or not others or others & set(given):
        return
    pages = [s for s in log.steps if isinstance(s, Http) and s.address in given]
    if all(page.status is None for page in pages):
        steps = await net.http(HttpRequest(f"http://{hop.host}/", given[0]))
        log.chain(steps, role=Role.TARGET, hop=hop.number, try_=2)
