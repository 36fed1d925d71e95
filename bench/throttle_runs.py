"""Whole runs of the `throttle` experiment over real TCP, on good and bad lines, slowed and not.

Usage: python -m bench.throttle_runs [--quick] [--null N] [--slowed N]
"""

import argparse
import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from bench.throttle_net import THROTTLED_NAME, Line, Net, Served, rerun_inside
from probe.experiments.port import Net as NetPort
from probe.experiments.port import Task
from probe.experiments.throttle import measure
from probe.messages import BulkReply
from probe.model import Transfer
from probe.net.transfer import transfer
from probe.pairs import State, froze, judge_pairs
from probe.rules.throttle import mechanism


@dataclass(frozen=True)
class Condition:
    """A line: its rate, its delay, what it loses, and what else goes over it."""

    name: str
    bits: float
    line: Line
    competing: int = 0


CONDITIONS = (
    Condition("clean", 20e6, Line(0.020)),
    Condition("wifi", 5e6, Line(0.050, 0.01, 0.008)),
    Condition("congested", 8e6, Line(0.030, 0.002), competing=3),
    Condition("slow plan", 2e6, Line(0.020)),
)


@dataclass
class BenchNet:
    """Just enough of a net: transfers."""

    moved: list[Transfer] = field(default_factory=list)

    async def transfer(
        self,
        address: str,
        port: int,
        sni: str | None,
        size: int,
        *,
        path: str,
        host: str,
        pin: str | None,
        cap: float,
        direction: Literal["down", "up"] = "down",
    ) -> Transfer:
        step = await transfer(
            address,
            port,
            sni,
            size,
            path=path,
            host=host,
            pin=pin,
            cap=cap,
            direction=direction,
        )
        self.moved.append(step)
        return step


@dataclass(frozen=True)
class Outcome:
    """What one run said and cost.

    Attributes:
        truth: For a freeze, the bytes that the router let through on each connection.
    """

    state: State
    transfers: int
    size: int
    mechanism: str
    stalled_at: tuple[int, ...]
    truth: int


def one_run(served: Served, tier: str, seed: int, name: str) -> Outcome:
    """One run of the experiment against the bulk server, as a probe would make it."""
    task = Task(
        url=f"https://{name}/",
        seed=seed,
        options={
            "bulk": (BulkReply(address=served.address, port=served.port, spki_sha256=served.pin),),
            "tier": tier,
            "own_address": False,
        },
    )
    net = BenchNet()
    steps = asyncio.run(measure(task, cast("NetPort", net)))
    moved = tuple(step for step in steps if isinstance(step, Transfer))
    found = judge_pairs(moved)
    stopped = [t for t in found.tested if froze(t)]
    in_pairs = [t for t in moved if t.pair > 0]
    return Outcome(
        state=found.state,
        transfers=len(in_pairs),
        size=sum(t.wire_bytes for t in moved),
        mechanism=mechanism(found, moved) if found.state.accuses else "",
        stalled_at=tuple(t.stalled_at or 0 for t in stopped),
        truth=0,
    )


@contextmanager
def competing(served: Served, flows: int) -> Iterator[None]:
    """Other downloads of random sizes come and go, as in a household."""
    stop = threading.Event()

    def household(seed: int) -> None:
        dice = random.Random(seed)
        while not stop.wait(dice.expovariate(1 / 1.5)):
            size = int(dice.lognormvariate(12.5, 1.0))
            asyncio.run(
                transfer(
                    served.address,
                    served.port,
                    "household.test",
                    size,
                    path=f"/{size}",
                    host="h",
                    pin=None,
                    cap=4.0,
                )
            )

    threads = [threading.Thread(target=household, args=(n,), daemon=True) for n in range(flows)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


def lay(net: Net, condition: Condition) -> Served:
    net.clear()
    net.line(condition.line)
    net.shape(condition.bits, burst=max(4000, int(condition.bits / 8 * 0.01)), latency_ms=100)
    return net.serve()


def nulls(net: Net, conditions: Sequence[Condition], tier: str, runs: int) -> list[Outcome]:
    """Runs in which nothing is throttled."""
    found: list[Outcome] = []
    for condition in conditions:
        served = lay(net, condition)
        with competing(served, condition.competing):
            here = [one_run(served, tier, seed, "open.test") for seed in range(runs)]
        found += here
        report(f"null {condition.name} {tier}", here)
    return found


def slowed(net: Net, condition: Condition, tier: str, kilobytes: int, runs: int) -> list[Outcome]:
    """Runs in which the name is policed at so many kilobytes (1024 bytes) a second."""
    served = lay(net, condition)
    net.police_name(kilobytes)
    with competing(served, condition.competing):
        found = [one_run(served, tier, seed, THROTTLED_NAME) for seed in range(runs)]
    report(f"policed {kilobytes} kB/s {condition.name} {tier}", found)
    return found


def freezes(net: Net, condition: Condition, size: int, runs: int) -> list[Outcome]:
    """Runs in which connections with the name freeze after so many bytes."""
    served = lay(net, condition)
    net.freeze_name(size)
    with competing(served, condition.competing):
        found = [counted(net, served, seed) for seed in range(runs)]
    report(f"freeze {size} {condition.name}", found)
    return found


def counted(net: Net, served: Served, seed: int) -> Outcome:
    """One run, with the payload that the router itself let through on each frozen connection."""
    net.on_router("iptables -Z FORWARD")
    one = one_run(served, "normal", seed, THROTTLED_NAME)
    return replace(one, truth=net.let_through() // max(len(one.stalled_at), 1))


def report(what: str, found: Sequence[Outcome]) -> None:
    line = {
        "what": what,
        "runs": len(found),
        "states": Counter(o.state.value for o in found),
        "mechanisms": Counter(o.mechanism for o in found if o.mechanism),
        "transfers": round(sum(o.transfers for o in found) / max(len(found), 1), 2),
        "bytes": round(sum(o.size for o in found) / max(len(found), 1)),
        "stalled_at": sorted({s for o in found for s in o.stalled_at}),
    }
    print(json.dumps(line), flush=True)


def recalled(found: Sequence[Outcome]) -> float:
    return sum(o.state.accuses for o in found) / len(found) if found else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--null", type=int, default=60)
    parser.add_argument("--slowed", type=int, default=4)
    options = parser.parse_args()
    rerun_inside()
    conditions = CONDITIONS[:1] if options.quick else CONDITIONS
    few = 1 if options.quick else options.slowed
    with Net() as net:
        freezes(net, CONDITIONS[0], 16_384, few)
        for condition in conditions:
            slowed(net, condition, "metered", 16, few)
        slowed(net, CONDITIONS[0], "normal", 64, few)
        slowed(net, CONDITIONS[0], "deep", 128, few)
        nulls(net, conditions, "metered", 4 if options.quick else options.null)
        if not options.quick:
            nulls(net, conditions, "normal", options.null // 4)


if __name__ == "__main__":
    main()
