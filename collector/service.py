"""Everything that the handlers of one collector share, made once at start."""

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from collector.asn import Origin, Table
from collector.detection.monitor import Monitor
from collector.metrics.instruments import Instruments
from collector.metrics.snapshot import Snapshots
from collector.rate_limit import Networks, TokenBuckets
from collector.rechecks import Rechecks
from collector.record_row import Judge
from collector.settings import Settings
from collector.store import Store
from collector.store.keys import Key
from collector.target_labels import TargetLabels

if TYPE_CHECKING:
    from probe.api_types import BulkReply

T = TypeVar("T")

KEY_SECONDS = 30.0
AILING_SECONDS = 60.0
KEY_MEMORY = 20_000
# One: more of them only compete with the loop for the interpreter (1310 records/s, not 1470).
_ROOMS = 1


class Service:
    """One collector's parts."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        listed: TargetLabels,
        judge: Judge,
        asn_table: Table | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        limits = settings.limits
        self.settings = settings
        self.store = store
        self.listed = listed
        self.judge = judge
        self.asn_table = asn_table or Table.empty()
        self.clock = clock
        self.instruments = Instruments(settings.store.partition(":")[0])
        self.instruments.listed.set(len(listed))
        self.by_key = TokenBuckets(limits.key_burst, limits.key_rate, time.monotonic)
        self.by_network = TokenBuckets(limits.network_burst, limits.network_rate, time.monotonic)
        self.by_enrolment = TokenBuckets(limits.enrol_burst, limits.enrol_rate, time.monotonic)
        self.by_recheck = TokenBuckets(limits.recheck_burst, limits.recheck_rate, time.monotonic)
        self.rechecks = Rechecks()
        self.watch = Monitor(settings, store, clock)
        self.snapshots = Snapshots(
            settings, store, listed, self.instruments, watch=self.watch, clock=clock
        )
        self.bulk: BulkReply | None = None
        # Checking, inflating and judging: apart from the loop, one batch at a time, so that
        # memory is bounded too.
        self.rooms = ThreadPoolExecutor(_ROOMS, thread_name_prefix="ingest")
        self._networks = Networks()
        self._ailing_until = 0.0
        self._held = 0
        self._keys: dict[str, tuple[float, Key]] = {}

    @property
    def store_unhealthy(self) -> bool:
        """The store refused something a moment ago and has taken nothing since."""
        return self.clock() < self._ailing_until

    def store_refused(self) -> None:
        """A full disk still reads well: only a refusal shows it."""
        self._ailing_until = self.clock() + AILING_SECONDS

    def store_took(self, method: str) -> None:
        """Something was answered; where that means written, the store is well."""
        if method == "POST":
            self._ailing_until = 0.0

    def peer(self, request: web.Request) -> str | None:
        """The asker's address, to be looked up and forgotten: of the last hop we do not trust."""
        address = request.remote
        hops = request.headers.getall("X-Forwarded-For", [])
        chain = [hop.strip() for hop in ",".join(hops).split(",") if hop.strip()]
        while chain and self._is_proxy(address):
            address = chain.pop()
        return address

    def must_wait(self, request: web.Request, buckets: TokenBuckets) -> float:
        """How many seconds the asker's network has to wait; 0 when it may ask now.

        Who asks over loopback is either the operator or a proxy that --proxy does not name, which
        speaks for everybody: neither can be limited as a network.
        """
        peer = self.peer(request)
        return 0.0 if _is_loopback(peer) else buckets.take(self._networks.name(peer))

    def origin(self, request: web.Request) -> Origin:
        """The asker's country and ASN, where the table knows them."""
        return self.asn_table.lookup(self.peer(request))

    def known_key(self, key_id: str) -> Key | None:
        """An enrolled key that was looked up a moment ago."""
        since, key = self._keys.get(key_id, (0.0, None))
        return key if time.monotonic() - since < KEY_SECONDS else None

    def remember_key(self, key: Key) -> None:
        """Spare the store the next question about this key."""
        if len(self._keys) >= KEY_MEMORY:
            self._keys.clear()
        self._keys[key.key_id] = (time.monotonic(), key)

    def forget_key(self, key_id: str) -> None:
        """This key is no longer enrolled."""
        self._keys.pop(key_id, None)

    @contextlib.contextmanager
    def reserve_memory(self) -> Iterator[Callable[[int], bool]]:
        """Account for bytes in memory; the callable says whether there is room for more."""
        mine = 0

        def hold(size: int) -> bool:
            nonlocal mine
            if self._held + size > self.settings.limits.held_bytes:
                return False
            self._held += size
            mine += size
            return True

        try:
            yield hold
        finally:
            self._held -= mine

    async def run_in_worker(self, work: Callable[[], T]) -> T:
        """Do heavy work apart from the loop, one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self.rooms, work)

    def close(self) -> None:
        """Let go of the threads."""
        self.rechecks.close()
        self.rooms.shutdown(wait=True, cancel_futures=True)

    def _is_proxy(self, address: str | None) -> bool:
        try:
            parsed = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(parsed in network for network in self.settings.proxies)


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


SERVICE = web.AppKey("service", Service)
