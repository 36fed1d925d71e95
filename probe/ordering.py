"""What to do in which order: pure, and repeatable by its seed.

The order of a sweep is a keyed hash of seed and target, so that no two runs look alike on the wire
and yet any run can be repeated. Work on one host is spread over the sweep.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Protocol, TypeVar
from urllib.parse import urlsplit


class Site(Protocol):
    """A site that worked: all that choosing one needs to know of it."""

    @property
    def url(self) -> str:
        """Its URL."""

    @property
    def address(self) -> str | None:
        """The address it worked at, where that is known."""


S = TypeVar("S", bound=Site)

# What an experiment on a service is asked about, before the service's name: it has no URL.
SERVICE = "service:"


@dataclass(frozen=True, slots=True)
class Job:
    """One target for one experiment."""

    experiment: str
    url: str
    category: str | None = None

    @property
    def host(self) -> str:
        """The host of the target, lower case; a service stands for itself."""
        return self.url if self.url.startswith(SERVICE) else host_of(self.url)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may cost: seconds of wall time, bytes both ways."""

    seconds: float
    bytes: int


# A home line pays for this: a sweep that hangs, or a list that grew, must end by itself.
LIMITS: Mapping[str, Limits] = MappingProxyType(
    {
        "watch": Limits(seconds=180.0, bytes=8_000_000),
        "quick": Limits(seconds=600.0, bytes=30_000_000),
        "full": Limits(seconds=3600.0, bytes=150_000_000),
    }
)


def host_of(url: str) -> str:
    """The host in a URL, or an empty text."""
    return urlsplit(url).hostname or ""


def port_of(url: str) -> int:
    """The port a URL leads to."""
    parts = urlsplit(url)
    return parts.port or (80 if parts.scheme == "http" else 443)


def keyed(seed: int, *parts: str) -> int:
    """A number that depends on the seed and every part, the same on every machine."""
    text = "\n".join((str(seed), *parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def share(seed: int, *parts: str) -> float:
    """The same as a fraction in [0, 1): jitter that can be repeated."""
    return keyed(seed, *parts) / 2**64


def order(jobs: Iterable[Job], seed: int) -> tuple[Job, ...]:
    """Shuffle the jobs by the seed, the k-th job on each host in the k-th round."""
    unique = sorted(set(jobs), key=lambda job: keyed(seed, job.url, job.experiment))
    rounds: dict[str, int] = {}
    placed: list[tuple[int, int, Job]] = []
    for position, job in enumerate(unique):
        turn = rounds.get(job.host, 0)
        rounds[job.host] = turn + 1
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
    """Sites that worked and have nothing in common with the target, different ones per target.

    Anchors and sites found in this sweep alternate: anchors are chosen to be up, found sites are
    chosen by nobody, so a network cannot treat them specially.
    """
    known = _strangers(job, addresses, anchors, seed=seed, most=most)
    fresh = _strangers(job, addresses, found, seed=seed, most=most)
    mixed: list[S] = []
    # Few anchors would have to answer for many targets if they always came first.
    one, other = (known, fresh) if keyed(seed, "first", job.url) % 2 else (fresh, known)
    for index in range(max(len(known), len(fresh))):
        mixed.extend(one[index : index + 1])
        mixed.extend(other[index : index + 1])
    return tuple(mixed[:most])


def _strangers(
    job: Job, addresses: frozenset[str], pool: Sequence[S], *, seed: int, most: int
) -> list[S]:
    """The first few strangers after a place in the pool that depends on the target."""
    site = _site(job.host)
    begin = keyed(seed, job.url) % len(pool) if pool else 0
    candidates = (pool[(begin + turn) % len(pool)] for turn in range(len(pool)))
    strangers = (
        one
        for one in candidates
        if one.address not in addresses and _site(host_of(one.url)) != site
    )
    return list(islice(strangers, most))


def _site(host: str) -> str:
    """The last two labels: close enough to keep a site from vouching for itself."""
    return ".".join(host.split(".")[-2:])


def confirm_reserve(waiting: int, *, abreast: int, each: float, whole: float) -> float:
    """How many of `whole` seconds to keep for second looks, with `waiting` targets held back.

    Never more than half: a run that confirms everything it saw and saw nothing is worth nothing.
    """
    return min(waiting / abreast * each, whole / 2)
