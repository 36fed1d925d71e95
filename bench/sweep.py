"""Duration and cost of a sweep, by number of targets, blocked share and concurrency.

    python -m bench.sweep [--sites 2300] [--blocked 0 0.1] [--concurrency 64] [--share 1]
                          [--round-trip 0.1] [--rate 20e6] [--loss 0] [--collector]

All combinations of the lists are run. The probe has one core (or a share of it) to itself, and no
collector, so it has no control measurements; `--collector` adds one, and a control that has just
measured every site. Everything else runs in other processes behind a delay line.
"""

import argparse
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import product

from bench.field.collector import FieldCollector
from bench.field.plan import Spec
from bench.field.testbed import Cost, FieldTestbed, machine
from probe.failure import Failure
from probe.model import Dns, Http, Outcome, Quic, Record, Role, Tls

_HEAD = (
    f"{'sites':>6}{'blocked':>9}{'at once':>9}{'share':>7}{'seconds':>9}{'a minute':>10}"
    f"{'ms cpu':>8}{'MB':>6}{'KB down':>9}{'KB up':>7}{'wrong':>7}"
)


def row(spec: Spec, concurrency: int, share: float, cost: Cost, blocked: frozenset[str]) -> str:
    """One line of the table."""
    count, bad = len(cost.sites), len(_wrong(cost, blocked))
    return (
        f"{count:6}{spec.blocked:9.0%}{concurrency:9}{share:7.2f}{cost.seconds:9.1f}"
        f"{60 * count / cost.seconds:10.0f}{1000 * cost.cpu / count:8.1f}{cost.memory / 1e6:6.0f}"
        f"{cost.down / count / 1000:9.1f}{cost.up / count / 1000:7.1f}{bad:7}"
    )


def _wrong(cost: Cost, blocked: frozenset[str]) -> list[Record]:
    """Verdicts that are not what the censor did."""
    return [
        r
        for r in cost.sites
        if r.verdict is None
        or r.verdict.outcome is not (Outcome.BLOCKED if r.input in blocked else Outcome.OK)
    ]


def stages(cost: Cost) -> str:
    """Bytes received in each kind of step, a target."""
    count = len(cost.sites)
    steps = [s for r in cost.sites for s in r.steps]
    tls = sum(s.bytes_in for s in steps if isinstance(s, Tls | Quic))
    http = sum(s.bytes_in for s in steps if isinstance(s, Http))
    facts = cost.run.facts
    rest = (facts.bytes_in if facts else 0) - tls - http
    questions = sum(isinstance(s, Dns) for s in steps)
    return (
        f"       a target: {tls / count / 1000:.1f} KB in handshakes,"
        f" {http / count / 1000:.1f} KB in answers,"
        f" {rest / count / 1000:.1f} KB in DNS ({questions / count:.1f} questions),"
        f" {(cost.down - tls - http - rest) / count / 1000:.1f} KB of headers below"
    )


def follow_ups(cost: Cost, blocked: frozenset[str]) -> str:
    """The bytes of follow-up measurements, and the waiting for dropped ClientHellos."""
    steps = [s for r in cost.sites for s in r.steps if isinstance(s, Tls | Http)]
    every = sum(s.bytes_in + s.bytes_out for s in steps)
    again = [s for s in steps if s.try_ > 1 or s.role is not Role.TARGET]
    second = sum(s.bytes_in + s.bytes_out for s in again)
    text = f"       follow-ups: {second / (every - second):.0%} of the first measurements' bytes"
    silent = [_silences(r) for r in cost.sites if r.input in blocked]
    waits = sorted(map(_waited, silent))
    alone = sorted(sum(end - began for began, end in one) for one in silent)
    line = next((r.line for r in cost.sites if r.line and r.line.handshake), None)
    if not waits or line is None or line.handshake is None:
        return text
    return (
        f"{text}; silence after a ClientHello: {waits[len(waits) // 2]:.2f} s a blocked target"
        f" (most {waits[-1]:.2f}; {alone[len(alone) // 2]:.2f} if no two were at the same time;"
        f" 3 handshakes and 4 s are {4 + 3 * line.handshake:.2f})"
    )


def _silences(record: Record) -> list[tuple[float, float]]:
    """When silences after a ClientHello began and ended, in order."""
    steps = [s for s in record.steps if isinstance(s, Tls) and s.failure is Failure.TIMEOUT]
    return sorted((s.at, s.at + s.elapsed) for s in steps)


def _waited(silences: Iterable[tuple[float, float]]) -> float:
    """The seconds in which there was at least one."""
    waited = until = 0.0
    for began, end in silences:
        waited += max(0.0, end - max(began, until))
        until = max(until, end)
    return waited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sites", type=int, nargs="+", default=[2300])
    parser.add_argument("--blocked", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64])
    parser.add_argument("--share", type=float, nargs="+", default=[1.0], help="of one core")
    parser.add_argument("--round-trip", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=20e6, help="bits a second each way")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--page", type=int, default=Spec().page, help="median bytes of a page")
    parser.add_argument("--collector", action="store_true", help="with a collector and a control")
    parser.add_argument("--profile", metavar="FILE", help="profile the probe into FILE")
    parser.add_argument("--show", type=int, default=0, help="print so many wrong verdicts")
    options = parser.parse_args()
    print(machine())
    line = f"{options.rate / 1e6:g} Mbit/s, {options.loss:.1%} loss"
    print(f"round trip {options.round_trip * 1000:.0f} ms, {line}\n{_HEAD}")
    for sites, blocked in product(options.sites, options.blocked):
        spec = Spec(
            sites=sites,
            blocked=blocked,
            round_trip=options.round_trip,
            rate=options.rate,
            loss=options.loss,
            page=options.page,
        )
        spare = nullcontext(None)
        with (
            FieldTestbed(spec) as testbed,
            FieldCollector(testbed) if options.collector else spare as field_collector,
        ):
            shut = frozenset(site.url for site in testbed.field.sites if site.blocked)
            for concurrency, share in product(options.concurrency, options.share):
                cost = testbed.probe(
                    concurrency=concurrency,
                    share=share,
                    collector=field_collector.url if field_collector is not None else None,
                    profile=options.profile,
                )
                print(row(spec, concurrency, share, cost, shut), flush=True)
                print(stages(cost), follow_ups(cost, shut), sep="\n", flush=True)
                for record in _wrong(cost, shut)[: options.show]:
                    print(f"       {record.input}: {record.verdict}")
                if cost.exit:
                    print(f"       the probe exited with {cost.exit}")


if __name__ == "__main__":
    main()
