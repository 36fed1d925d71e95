"""Which limits of speed a default run notices, by rate and by kind of limiter.

    python -m bench.default_run [--rates 8000 16000 32000 64000 128000] [--others 12]

Sites with a large page, each slowed by its name at one rate (bytes a second), beside others that
are not slowed, on a home line. A limit is *noticed* if the page is not `ok` or is followed up by
`throttle`; a run follows up three pages at most, so each rate and kind has a run of its own.
"""

import argparse
from typing import Literal

from probe.lab.catalogue.lines import HOME
from probe.lab.harness import Harness
from probe.lab.scenario import LabSite, Page, Scenario, Throttle
from probe.lab.testbed import NetnsTestbed

Limiter = Literal["police", "shape"]
LIMITERS: tuple[Limiter, ...] = ("shape", "police")
RATES = (8_000, 16_000, 32_000, 64_000, 128_000)
SLOWED = 3


def noticed(how: Limiter, rate: int, others: int) -> tuple[int, int, int]:
    """How many slowed pages were not `ok` and were followed up, and how many others not `ok`."""
    slow = [LabSite(f"slow{n}-{how}-{rate}.org", page=Page("large")) for n in range(SLOWED)]
    free = [LabSite(f"free{n}.org", page=Page("large")) for n in range(others)]
    censor = tuple(Throttle(site.name, how, rate) for site in slow)
    scenario = Scenario("bench.slow", (*slow, *free), (), censor=censor, line=HOME)
    urls = [f"https://{site.name}/" for site in (*slow, *free)]
    with NetnsTestbed([scenario]) as testbed:
        harness = Harness(testbed)
        harness.start_collector(urls)
        harness.consent()
        # Which pages are followed up is asked, and not what the follow-up finds.
        found = harness.probe(urls, "--control", "none", "-e", "web", "--max-time", "140")
    not_ok = [r["input"] for r in found if r["experiment"] == "web" and _outcome(r) != "ok"]
    doubted = len(set(not_ok).intersection(urls[:SLOWED]))
    facts = next(r["facts"] for r in found if r["experiment"] == "run")
    followed = facts["targets"] - len(urls) if isinstance(facts, dict) else 0
    return doubted, followed, len(not_ok) - doubted


def _outcome(record: dict[str, object]) -> object:
    verdict = record["verdict"]
    return verdict["outcome"] if isinstance(verdict, dict) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rates", nargs="+", type=int, default=list(RATES))
    parser.add_argument("--others", type=int, default=12)
    options = parser.parse_args()
    print(f"{'limit':>13} {'limiter':8} not ok, followed up, others not ok")
    for rate in options.rates:
        for how in LIMITERS:
            doubted, followed, false = noticed(how, rate, options.others)
            kbit = f"{rate * 8 / 1000:g} kbit/s"
            print(f"{kbit:>13} {how:8} {doubted:6} {followed:12} {false:14}", flush=True)


if __name__ == "__main__":
    main()
