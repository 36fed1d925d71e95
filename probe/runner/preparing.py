"""What a run needs from its first answers on, loaded while they are awaited.

It takes half as long as all that is needed before the first packet. A thread loads it, so what
arrives meanwhile is noticed at most one switch of threads (5 ms) later.
"""

import asyncio
from collections.abc import Callable
from importlib import import_module

# In the order of their use. Each is imported where it is used as well, which waits for it.
LATER = (
    "probe.certificates.trust",
    "probe.net.http",
    "probe.scrub",
    "probe.rules",
    "probe.ladder",
)
# Seconds in which the first packets leave.
_PAUSE = 0.02


async def prepare(read_roots: Callable[[], object]) -> None:
    """Load what is used later; `read_roots` reads the session's roots."""
    await asyncio.sleep(_PAUSE)
    await asyncio.to_thread(_load, read_roots)


def _load(read_roots: Callable[[], object]) -> None:
    read_roots()
    for name in LATER:
        import_module(name)
