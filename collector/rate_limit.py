"""Rate limits: token buckets by key and by network, in memory only.

Rule: no address is stored. A network is identified by a keyed hash of its /24 (IPv4) or /48 (IPv6);
the hash's key is made at start and never stored, and the oldest buckets are dropped.
"""

import hashlib
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Callable

MEMORY = 50_000


class TokenBuckets:
    """Token buckets by name; the `MEMORY` most recently used are kept."""

    def __init__(self, burst: float, rate: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._rate = rate
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, cost: float = 1.0) -> float:
        """Take `cost` tokens and return 0, or take none and return how many seconds to wait."""
        now = self._clock()
        level, since = self._levels.pop(name, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        enough = level >= min(cost, self._burst)
        self._levels[name] = (level - cost if enough else level, now)
        if len(self._levels) > MEMORY:
            self._levels.popitem(last=False)
        return 0.0 if enough else (min(cost, self._burst) - level) / self._rate


class NetworkHashes:
    """Pseudonyms for networks, which last as long as their secret."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(16)

    def name(self, address: str | None) -> str:
        """A keyed hash of the /24 or /48 that an address lies in."""
        try:
            parsed = ipaddress.ip_address((address or "").partition("%")[0])
        except ValueError:
            return "unknown"
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        prefix = parsed.packed[:3] if parsed.version == 4 else parsed.packed[:6]
        return hashlib.blake2b(prefix, key=self._secret, digest_size=12).hexdigest()
