"""Which limits of speed a default run notices, by rate, kind of limiter and page; false alarms.

    python -m bench.default_run [--rates 8000 16000 …] [--page large news] [--others 12]
    python -m bench.default_run --innocent [--lines home evening mobile …] [--runs 3]

Sites that are slowed by their name at one rate (bytes a second), beside others that are not, on a
home line. A limit is *noticed* if the page is not `ok` or is followed up by `throttle`; a run
follows up three pages at most, so each rate and kind has a run of its own. `--innocent`: nothing is
slowed, on lines of several kinds; whatever is not `ok` then is a false alarm.
"""

import argparse
from collections.abc import Sequence
from typing import Literal, NamedTuple

from probe.lab.catalogue.lines import HOME, LINES
from probe.lab.harness import Harness
from probe.lab.scenario import LabSite, LineSpec, Page, Scenario, Throttle
from probe.lab.testbed import NetnsTestbed

Limiter = Literal["police", "shape"]
PageSize = Literal["large", "news"]
LIMITERS: tuple[Limiter, ...] = ("shape", "police")
RATES = (8_000, 16_000, 32_000, 64_000, 128_000)
SLOWED = 3


class Noticed(NamedTuple):
    """Of the slowed pages: not `ok`, followed up, throttled; of the others: not `ok`, throttled."""

    doubted: int
    followed: int
    throttled: int
    others: int
    falsely: int
    received: int


def slowed(how: Limiter, rate: int, page: PageSize, others: int) -> Noticed:
    """A run in which some sites are slowed at a rate."""
    slow = [LabSite(f"slow{n}-{how}-{rate}.org", page=Page(page)) for n in range(SLOWED)]
    return _run(slow, _free(others, page), [Throttle(s.name, how, rate) for s in slow], HOME)


def innocent(line: LineSpec, page: PageSize, others: int) -> Noticed:
    """A run in which nothing is slowed."""
    return _run([], _free(others, page), [], line)


def _free(others: int, page: PageSize) -> list[LabSite]:
    return [LabSite(f"free{n}.org", page=Page(page)) for n in range(others)]


def _run(
    slow: Sequence[LabSite], free: Sequence[LabSite], limits: Sequence[Throttle], line: LineSpec
) -> Noticed:
    scenario = Scenario("bench.slow", (*slow, *free), (), censor=tuple(limits), line=line)
    urls = [f"https://{site.name}/" for site in (*slow, *free)]
    with NetnsTestbed([scenario]) as testbed:
        harness = Harness(testbed)
        harness.start_collector(urls)
        harness.consent()
        found = harness.probe(urls, "--control", "none", "-e", "web", "--max-time", "140")
    own = set(urls[: len(slow)])
    doubted = {r["input"] for r in found if r["experiment"] == "web" and _outcome(r) != "ok"}
    throttled = {r["input"] for r in found if _outcome(r) == "throttled"}
    facts = next(r["facts"] for r in found if r["experiment"] == "run")
    assert isinstance(facts, dict)
    return Noticed(
        len(doubted & own),
        facts["targets"] - len(urls),
        len(throttled & own),
        len(doubted - own),
        len(throttled - own),
        facts["bytes_in"],
    )


def _outcome(record: dict[str, object]) -> object:
    verdict = record["verdict"]
    return verdict["outcome"] if isinstance(verdict, dict) else None


def _show(what: str, seen: Noticed) -> None:
    cells = (what, *seen[:-1], f"{seen.received / 1e6:.1f} MB")
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rates", nargs="+", type=int, default=list(RATES))
    parser.add_argument("--page", nargs="+", choices=("large", "news"), default=["large"])
    parser.add_argument("--others", type=int, default=12)
    parser.add_argument("--innocent", action="store_true")
    parser.add_argument("--lines", nargs="+", choices=sorted(LINES), default=sorted(LINES))
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    print("| what | not ok | followed up | throttled | others not ok | throttled | received |")
    print("|---|---|---|---|---|---|---|")
    for page in options.page * options.runs:
        if options.innocent:
            for name in options.lines:
                _show(f"{name}, {page}", innocent(LINES[name], page, options.others))
            continue
        for rate in options.rates:
            for how in LIMITERS:
                what = f"{rate * 8 / 1000:g} kbit/s, {how}, {page}"
                _show(what, slowed(how, rate, page, options.others))


if __name__ == "__main__":
    main()
