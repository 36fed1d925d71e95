"""Jobs, their order in a sweep, their reference sites: pure, and repeatable by the seed.

The order of a sweep is a keyed hash of seed and target, so that each run has its own order
and can still be repeated. Jobs on one host are spread over the sweep.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from probe.compare import same_site


class ReferenceSite(Protocol):
    """A site that worked."""

    @property
    def url(self) -> str:
        """Its URL."""

    @property
    def address(self) -> str | None:
        """The address that answered, where it is known."""


S = TypeVar("S", bound=ReferenceSite)

# A normalised URL with a name. A list may have 100,000, and `urlsplit` takes ten times as long.
_PLAIN = re.compile(r"https?://([a-z0-9.-]+)(?::[0-9]{1,5})?/")
# Prefix of the input of a job on a service, which has no URL.
SERVICE = "service:"


class Job(Struct, frozen=True):
    """One target for one experiment."""

    experiment: str
    url: str
    category: str | None = None

    @property
    def host(self) -> str:
        """The host of the target, lower case; for a service, its whole input."""
        return self.url if self.url.startswith(SERVICE) else host_of(self.url)


class RunLimits(Struct, frozen=True):
    """What a run may cost: seconds of wall time, bytes in both directions together."""

    seconds: float
    bytes: int


# The volunteer pays for the traffic: a run that hangs, or whose list grew, must end by itself.
LIMITS: Mapping[str, RunLimits] = MappingProxyType(
    {
        "watch": RunLimits(seconds=180.0, bytes=3_000_000),
        "quick": RunLimits(seconds=110.0, bytes=10_000_000),
        "full": RunLimits(seconds=3600.0, bytes=150_000_000),
    }
)


def host_of(url: str) -> str:
    """The host in a URL, or an empty string."""
    plain = _PLAIN.match(url)
    return plain[1] if plain else urlsplit(url).hostname or ""


def port_of(url: str) -> int:
    """The port of a URL, explicit or by its scheme."""
    parts = urlsplit(url)
    return parts.port or (80 if parts.scheme == "http" else 443)


def keyed(seed: int, *parts: str) -> int:
    """A 64-bit hash of the seed and the parts, the same on every machine."""
    text = "\n".join((str(seed), *parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def order(jobs: Iterable[Job], seed: int) -> tuple[Job, ...]:
    """Shuffle the jobs by the seed: the k-th job of each host comes in the k-th round."""
    unique = sorted(set(jobs), key=lambda job: keyed(seed, job.url, job.experiment))
    rounds: dict[str, int] = {}
    placed: list[tuple[int, int, Job]] = []
    for position, job in enumerate(unique):
        host = job.host
        turn = rounds.get(host, 0)
        rounds[host] = turn + 1
        placed.append((turn, position, job))
    return tuple(job for _, _, job in sorted(placed, key=lambda item: item[:2]))


def references_for(
    job: Job,
    addresses: frozenset[str],
    *,
    anchors: Sequence[S],
    found: Sequence[S],
    seed: int,
    most: int = 4,
) -> tuple[S, ...]:
    """Reference sites that share neither address nor registered name with the target.

    Different targets get different ones. Anchors and sites found ok in this sweep alternate:
    anchors are chosen to be up; a censor cannot know beforehand which sites will be found ok, so it
    cannot exempt them.

    Args:
        addresses: The target's.
    """
    known = _unrelated(job, addresses, anchors, seed=seed, most=most)
    fresh = _unrelated(job, addresses, found, seed=seed, most=most)
    mixed: list[S] = []
    # The few anchors would carry the load of many targets if they always came first.
    one, other = (known, fresh) if keyed(seed, "first", job.url) % 2 else (fresh, known)
    for index in range(max(len(known), len(fresh))):
        mixed.extend(one[index : index + 1])
        mixed.extend(other[index : index + 1])
    return tuple(mixed[:most])


def _unrelated(
    job: Job, addresses: frozenset[str], pool: Sequence[S], *, seed: int, most: int
) -> list[S]:
    """The first few unrelated sites, from an index in the pool that depends on the target."""
    begin = keyed(seed, job.url) % len(pool) if pool else 0
    unrelated = (
        one
        for one in (*pool[begin:], *pool[:begin])
        if one.address not in addresses and not same_site(host_of(one.url), job.host)
    )
    return list(islice(unrelated, most))


def confirm_reserve(held: int, *, concurrency: int, each: float, whole: float) -> float:
    """How many of `whole` seconds to reserve for confirming `held` measurements.

    At most half: otherwise a run with many suspicions would measure too few targets.
    """
    return min(held / concurrency * each, whole / 2)
