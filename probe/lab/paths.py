"""Situations on paths of several routers, and what `trace` and a run must say of each.

Innocent ones (a clean site, a server that turns this client away, the site's own protection) and
middleboxes, on single ways, on several ways of equal and of different length, behind a router that
rewrites the TTL of TCP, behind routers that seldom report expired packets, and on a lossy line.
Situations of one shape and line share a testbed. `bench/paths.py` plays them many times.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from probe.lab.commands import environment
from probe.lab.scenario import (
    Interference,
    LabSite,
    LineSpec,
    PathShape,
    RouterMiddlebox,
    Scenario,
    SiteFirewall,
)
from probe.lab.testbed import NetnsTestbed

NEAR = LineSpec("near", delay=0.008)
LOSSY = LineSpec("lossy", delay=0.008, loss=0.03)
_TRACES = (sys.executable, "-m", "probe.lab.many_traces")
_ABROAD = "62.115.0.0,62.115.255.255,1299,SE\n213.248.0.0,213.248.255.255,1299,SE\n"
_BORDER = "92.47.145.0,92.47.255.255,9198,KZ\n"
_SITES = "45.130.0.0,45.130.255.255,64500,DE\n"
# In these, routers before the site are its own: those abroad, or the one at the border as well.
_OWN_ABROAD = "62.115.0.0,62.115.255.255,64500,DE\n213.248.0.0,213.248.255.255,64500,DE\n"
_OWN_BORDER = _OWN_ABROAD + "92.47.145.0,92.47.145.255,64500,DE\n"
_KAZAKH = "95.57.0.0,95.57.255.255,9198,KZ\n92.47.0.0,92.47.144.255,9198,KZ\n"

Kind: TypeAlias = Literal["clean", "server", "box"]


@dataclass(frozen=True, slots=True)
class PathSituation:
    """One site on one path.

    Attributes:
        what: What happens to its name; None: nothing.
        kind: A `clean` site, the `server`'s own doing, or a middle`box`. Only the last may be
            accused.
        place: The hops between which a box is found; None: it need not be found.
        own: In the table of networks, the routers before the site that are its own; empty: none.
    """

    name: str
    shape: PathShape
    what: Interference | None
    kind: Kind
    line: LineSpec = NEAR
    place: tuple[int, int] | None = None
    own: str = ""

    @property
    def table(self) -> str:
        """The table of networks, as text."""
        return _KAZAKH + (self.own or _BORDER + _ABROAD) + _SITES


def _situations(shape: PathShape, prefix: str, line: LineSpec = NEAR) -> Iterator[PathSituation]:
    """A clean site, both kinds of servers and a box before the ways part."""

    def site(name: str) -> str:
        return f"{name}-{prefix}.org"

    drops = SiteFirewall(site("drops"), "hello")
    resets = SiteFirewall(site("resets"), "hello", "reset")
    box = RouterMiddlebox(site("boxed"), "provider", "hello", "reset")
    silent = RouterMiddlebox(site("swallowed"), "provider", "hello", "drop")
    yield PathSituation(site("clean"), shape, None, "clean", line)
    yield PathSituation(site("drops"), shape, drops, "server", line)
    yield PathSituation(site("resets"), shape, resets, "server", line)
    found = None if shape.how == "ttl_rewritten" else (2, 3)
    yield PathSituation(site("boxed"), shape, box, "box", line, found)
    yield PathSituation(site("swallowed"), shape, silent, "box", line, found)


_CHAIN, _REWRITTEN = PathShape("chain"), PathShape("ttl_rewritten", "provider")
SITUATIONS = (
    *_situations(_CHAIN, "chain"),
    *_situations(PathShape("equal_ways"), "equal"),
    *_situations(PathShape("unequal_ways"), "unequal"),
    *_situations(PathShape("far_ways"), "far"),
    *_situations(_REWRITTEN, "rewritten"),
    *_situations(PathShape("quiet_router", "backbone"), "quiet"),
    *_situations(PathShape("rare_router", "backbone"), "rare"),
    *_situations(_CHAIN, "lossy", LOSSY),
    PathSituation(
        "scrubbed-own.org",
        _CHAIN,
        RouterMiddlebox("scrubbed-own.org", "transit", "hello", "reset"),
        "server",
        own=_OWN_ABROAD,
    ),
    PathSituation(
        "scrubbed-far.org",
        _CHAIN,
        RouterMiddlebox("scrubbed-far.org", "border", "hello", "reset"),
        "server",
        own=_OWN_BORDER,
    ),
    PathSituation(
        "scrubbed-first.org",
        _CHAIN,
        RouterMiddlebox("scrubbed-first.org", "border", "hello", "drop"),
        "server",
        own=_BORDER + _OWN_ABROAD,
    ),
    PathSituation(
        "scrubbed-edge.org",
        _CHAIN,
        RouterMiddlebox("scrubbed-edge.org", "edge", "hello", "drop"),
        "server",
    ),
    PathSituation(
        "tapped.org",
        _CHAIN,
        RouterMiddlebox("tapped.org", "backbone", "hello", "reset", "on"),
        "box",
        place=(2, 3),
    ),
    PathSituation(
        "punished.org",
        _CHAIN,
        RouterMiddlebox("punished.org", "provider", "hello", "drop", residual=15),
        "box",
    ),
    PathSituation(
        "half-boxed.org",
        PathShape("far_ways"),
        RouterMiddlebox("half-boxed.org", "detour", "hello", "reset"),
        "box",
    ),
    PathSituation(
        "behind-rewritten.org",
        _REWRITTEN,
        RouterMiddlebox("behind-rewritten.org", "border", "hello", "drop"),
        "box",
    ),
)


@dataclass(frozen=True, slots=True)
class PathResult:
    """What a trace said of one situation."""

    situation: PathSituation
    outcome: str
    rule: str
    place: tuple[int, int] | None

    @property
    def false_accusation(self) -> bool:
        """It accuses a clean site or a server."""
        return self.situation.kind != "box" and self.outcome == "blocked"

    @property
    def right(self) -> bool:
        """No false accusation; a box that must be found is found at its place."""
        if self.situation.kind != "box":
            return self.outcome == "inconclusive" and self._says_what_it_saw
        wanted = self.situation.place
        if wanted is not None:
            found = self.place or (0, 0)  # wider where routers on the way are quiet
            near = found[0] <= wanted[0] and wanted[1] <= found[1] <= wanted[1] + 1
            return self.outcome == "blocked" and near
        return self.outcome in {"blocked", "inconclusive"} and self._says_what_it_saw

    @property
    def _says_what_it_saw(self) -> bool:
        """`alike` only where nothing happens to the name."""
        return self.situation.what is None or self.rule != "path.both_names_fare_alike"


def groups(
    situations: Iterable[PathSituation],
) -> dict[tuple[PathShape, LineSpec], list[PathSituation]]:
    """The situations that can share a testbed."""
    found: dict[tuple[PathShape, LineSpec], list[PathSituation]] = {}
    for each in situations:
        found.setdefault((each.shape, each.line), []).append(each)
    return found


def scenario(situations: Iterable[PathSituation]) -> Scenario:
    """The sites and interference of a group."""
    group = tuple(situations)
    acts = tuple(each.what for each in group if each.what is not None)
    sites = tuple(LabSite(each.name, plain="same") for each in group)
    return Scenario("paths", sites, (), (group[0].shape, *acts), group[0].line)


def trace_all(situations: Iterable[PathSituation], times: int = 1) -> Iterator[PathResult]:
    """Trace each situation of one group so many times, a few at once."""
    group = {each.name: each for each in situations}
    with NetnsTestbed([scenario(group.values())]) as testbed:
        pairs = [(name, _table(testbed.folder, each)) for name, each in group.items()]
        argv = [*_TRACES, str(testbed.ca_file), str(testbed.folder)]
        process = subprocess.Popen(
            testbed.wrap("client", argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            json.dump(pairs * times, process.stdin)
            process.stdin.close()
            yield from (_result(group, json.loads(line)) for line in process.stdout)


def _table(folder: Path, one: PathSituation) -> str:
    file = folder / f"{one.name}.csv"
    file.write_text(one.table)
    return str(file)


def _result(group: dict[str, PathSituation], said: dict[str, Any]) -> PathResult:
    place = (said["place"][0], said["place"][1]) if said["place"] else None
    return PathResult(group[said["name"]], str(said["outcome"]), str(said["rule"]), place)
