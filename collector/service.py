"""The parts of one collector that its handlers share, made once at start."""

import asyncio
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web

from collector.asn import Table
from collector.connections import ConnectionPool
from collector.detection.monitor import Monitor
from collector.events.keeper import EventKeeper
from collector.judging.running import RunningJudging
from collector.judging.watch import BacklogWatch, Progress
from collector.listening import Door
from collector.memory_budget import MemoryBudget
from collector.metrics import store_files
from collector.metrics.instruments import Instruments
from collector.metrics.snapshot import SnapshotCache
from collector.origin_secret import BYTES as SECRET_BYTES
from collector.places import RequestOrigin
from collector.rate_limit import NetworkHashes, TokenBuckets
from collector.read_queue import ReadQueue
from collector.rechecks import Rechecks
from collector.record_row import Judge
from collector.result_cache import ResultCache
from collector.scrubbing import Scrubbing
from collector.sealing import Seal
from collector.settings import CollectorLimits, CollectorSettings
from collector.store import Store
from collector.store.keys import Key
from collector.target_labels import TargetLabels
from collector.watched_store import WatchedStore

if TYPE_CHECKING:
    from probe.api_types import BulkReply

T = TypeVar("T")
QueueName = Literal["page", "read", "export", "control"]

KEY_SECONDS = 30.0
KEY_MEMORY = 20_000
_FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
# More threads would only compete with the event loop for the interpreter: 1310 records/s, not 1470.
_WORKERS = 1


class Service:
    """One collector's parts."""

    def __init__(
        self,
        settings: CollectorSettings,
        store: Store,
        *,
        labels: TargetLabels,
        judge: Judge,
        asn_table: Table | None = None,
        origin_secret: bytes | None = None,
        operator_token: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        limits = settings.limits
        self.settings = settings
        self.store = store = WatchedStore(store)
        self.scrubbing = Scrubbing(store)
        self.labels = labels
        self.judge = judge
        self.asn_table = asn_table or Table.empty()
        self.clock = clock
        self.instruments = Instruments(settings.store.partition(":")[0])
        store_files.register(self.instruments.registry, settings.store)
        self.instruments.listed.set(len(labels))
        self.instruments.quorum.set(settings.quorum)
        self.by_key = _buckets(limits.key_burst, limits.key_rate)
        self.by_network = _buckets(limits.network_burst, limits.network_rate)
        self.by_enrolment = _buckets(limits.enrol_burst, limits.enrol_rate)
        self.by_beat = _buckets(limits.beat_burst, limits.beat_rate)
        self.by_recheck = _buckets(limits.recheck_burst, limits.recheck_rate)
        self.by_ooni = _buckets(limits.ooni_burst, limits.ooni_rate)
        self.by_helper = _buckets(limits.helper_burst, limits.helper_rate)
        self.by_helper_recheck = _buckets(limits.helper_recheck_burst, limits.helper_recheck_rate)
        self.rechecks = Rechecks()
        self.monitor = Monitor(settings, store, clock)
        self.events = EventKeeper(
            settings, store, self.monitor.detections, category=self._category, clock=clock
        )
        self.snapshots = self._snapshots()
        self.bulk: BulkReply | None = None
        self.ingesting = Progress()
        self.backlog = self._watch()
        self.judging = self._judging(judge)
        # Verifies and inflates large bodies outside the event loop, one at a time, which bounds
        # memory too.
        self.worker = ThreadPoolExecutor(_WORKERS, thread_name_prefix="ingest")
        self._networks = NetworkHashes()
        self._origins = NetworkHashes(origin_secret)
        self.queues = _queues(limits)
        self.results = ResultCache()
        secret = origin_secret or secrets.token_bytes(SECRET_BYTES)
        self.seal = Seal(secret)
        self.report_secret = hmac.digest(secret, b"report", "sha256")
        self.operator_token = operator_token
        self.door = self._door(limits)
        self.memory = MemoryBudget(limits.held_bytes, limits.network_bytes)
        self.instruments.connections.set_function(lambda: len(self.door.connections))
        self.instruments.held.set_function(lambda: self.memory.held)
        self._keys: dict[str, tuple[float, Key]] = {}

    def _snapshots(self) -> SnapshotCache:
        return SnapshotCache(
            self.settings,
            self.store,
            self.labels,
            self.instruments,
            monitor=self.monitor,
            events=self.events,
            clock=self.clock,
        )

    def _category(self, target: str) -> str:
        """The category of a target, by the lists as they are now."""
        return self.labels.category(target)

    def peer(self, request: web.Request) -> str | None:
        """The client's address: the last hop that is no proxy of ours. It is not stored."""
        address = request.remote
        hops = request.headers.getall("X-Forwarded-For", [])
        chain = [hop.strip() for hop in ",".join(hops).split(",") if hop.strip()]
        while chain and self._is_proxy(address):
            address = chain.pop()
        return address

    def network(self, request: web.Request) -> str | None:
        """A pseudonym of the client's network; None for loopback, which is not limited.

        Loopback is the operator, or a proxy that --proxy does not name and that forwards the
        requests of many networks.
        """
        peer = self.peer(request)
        return None if _is_loopback(peer) else self._networks.name(peer)

    def _door(self, limits: CollectorLimits) -> Door:
        return Door(
            ConnectionPool(limits.connections, limits.network_connections, self._closed),
            ConnectionPool(limits.handshakes, limits.network_connections),
            TokenBuckets(limits.connect_burst, limits.connect_rate, time.monotonic),
            self._limited_network,
        )

    def _closed(self, why: str) -> None:
        self.instruments.closed.labels(why).inc()

    def _limited_network(self, address: str) -> str | None:
        """The pseudonym of the network that a connection is from; None for loopback and proxies."""
        unlimited = _is_loopback(address) or self._is_proxy(address)
        return None if unlimited else self._networks.name(address)

    def must_wait(self, request: web.Request, buckets: TokenBuckets) -> float:
        """Seconds that the client's network has to wait; 0 when it may ask now."""
        network = self.network(request)
        return 0.0 if network is None else buckets.take(network)

    def origin(self, request: web.Request) -> RequestOrigin:
        """Where a request comes from: by the table, and whether its claim may be believed."""
        peer = self.peer(request)
        found = RequestOrigin(*self.asn_table.lookup(peer))
        if self.settings.lab:
            return found._replace(own=True)
        if _is_loopback(peer):
            # A proxy that --proxy does not name shows in the headers; whose request it is does not.
            return found._replace(own=_is_direct(request))
        return found._replace(prefix=self._origins.name(peer))

    def known_key(self, key_id: str) -> Key | None:
        """An enrolled key from the cache; None when it was not looked up lately."""
        since, key = self._keys.get(key_id, (0.0, None))
        return key if time.monotonic() - since < KEY_SECONDS else None

    def remember_key(self, key: Key) -> None:
        """Add an enrolled key to the cache."""
        if len(self._keys) >= KEY_MEMORY:
            self._keys.clear()
        self._keys[key.key_id] = (time.monotonic(), key)

    def forget_key(self, key_id: str) -> None:
        """Drop an erased key from the cache."""
        self._keys.pop(key_id, None)

    def _watch(self) -> BacklogWatch:
        return BacklogWatch(
            self.store,
            self.instruments,
            limit=self.settings.limits.backlog_records,
            changed=self._records_stored,
            clock=self.clock,
        )

    def _judging(self, judge: Judge) -> RunningJudging:
        return RunningJudging(
            self.settings,
            self.store,
            self.backlog,
            self.instruments,
            labels=self.labels,
            judge=judge,
            runner=self.run_in_worker,
            stored=self.snapshots.touch,
            series_stored=self.monitor.touch,
        )

    def _records_stored(self) -> None:
        """Note that records were judged, perhaps by another collector of this store."""
        self.snapshots.touch()
        if self.store.shared:
            self.monitor.touch()

    async def run_in_worker(self, work: Callable[[], T]) -> T:
        """Run heavy work in the worker thread, one piece at a time."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, work)

    def close(self) -> None:
        """End waiting rechecks and stop the worker thread."""
        self.rechecks.close()
        self.worker.shutdown(wait=True, cancel_futures=True)

    def _is_proxy(self, address: str | None) -> bool:
        try:
            parsed = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(parsed in network for network in self.settings.proxies)


def _queues(limits: CollectorLimits) -> dict[QueueName, ReadQueue]:
    """The queues of readers: running, waiting, and both for each network."""
    reads = limits.reads
    return {
        # What is made for all readers together never waits for what is made for one.
        "page": ReadQueue(16 * reads, 32 * reads, 16 * reads),
        "read": ReadQueue(reads, 8 * reads, 2 * reads),
        "export": ReadQueue(limits.exports, limits.exports, 1),
        "control": ReadQueue(2 * reads, 32 * reads, 4 * reads),
    }


def _buckets(burst: float, rate: float) -> TokenBuckets:
    return TokenBuckets(burst, rate, time.monotonic)


def _is_direct(request: web.Request) -> bool:
    """Whether a request from loopback shows no sign of a proxy: its headers, version or host."""
    try:
        host = urlsplit(f"//{request.host}").hostname
    except ValueError:
        return False
    local = host == "localhost" or _is_loopback(host)
    forwarded = any(name in request.headers for name in _FORWARDED)
    return local and request.version >= HttpVersion11 and not forwarded


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


SERVICE = web.AppKey("service", Service)
