"""What an ordinary run says of sites that no connection reaches, on paths of several routers.

    python -m bench.silence [--times 3] [--groups chain,far_ways] [--append FILE]

On each path, the sites' own firewalls stop this client, or a router on the way does: only
connections, or every packet. One run looks at all of them, and its follow-up says who does it. The
table has how often a site's own doing was placed in the network, how often it was called blocked,
and how often a router was found at its hop. With `--append`, earlier results count.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from probe.lab.harness import start_harness
from probe.lab.paths import LOSSY, NEAR
from probe.lab.scenario import (
    ControlState,
    Interference,
    LabSite,
    LineSpec,
    PathShape,
    RouterMiddlebox,
    Scenario,
    SiteFirewall,
)
from probe.lab.testbed import NetnsTestbed

Kind = Literal["clean", "server", "box"]
PATHS: dict[str, tuple[PathShape, LineSpec]] = {
    "chain": (PathShape("chain"), NEAR),
    "equal_ways": (PathShape("equal_ways"), NEAR),
    "unequal_ways": (PathShape("unequal_ways"), NEAR),
    "far_ways": (PathShape("far_ways"), NEAR),
    "ttl_rewritten": (PathShape("ttl_rewritten", "provider"), NEAR),
    "quiet_router": (PathShape("quiet_router", "backbone"), NEAR),
    "rare_router": (PathShape("rare_router", "backbone"), NEAR),
    "chain_lossy": (PathShape("chain"), LOSSY),
}
SITES: dict[str, Kind] = {
    "clean": "clean",
    "down": "clean",
    "drops": "server",
    "refuses": "server",
    "hides": "server",
    "cut": "box",
    "cut_refused": "box",
    "swallowed": "box",
}
_TABLE = (
    "95.57.0.0,95.57.255.255,9198,KZ\n92.47.0.0,92.47.255.255,9198,KZ\n"
    "62.115.0.0,62.115.255.255,1299,SE\n213.248.0.0,213.248.255.255,1299,SE\n"
    "45.130.0.0,45.130.255.255,64500,DE\n"
)
PLACE = [2, 3]  # the hops beside the provider, where the routers that interfere are


def _name(site: str, path: str) -> str:
    return f"{site}-{path}.org".replace("_", "-")


def _acts(path: str) -> tuple[Interference, ...]:
    return (
        SiteFirewall(_name("drops", path), "connections"),
        SiteFirewall(_name("refuses", path), "connections", "reset"),
        SiteFirewall(_name("hides", path), "address"),
        RouterMiddlebox(_name("cut", path), "provider", "connections", "drop"),
        RouterMiddlebox(_name("cut_refused", path), "provider", "connections", "reset"),
        RouterMiddlebox(_name("swallowed", path), "provider", "address", "drop"),
    )


def run(path: str, times: int) -> Iterator[dict[str, Any]]:
    """So many runs on one path, a result for each site."""
    shape, line = PATHS[path]
    names = {_name(site, path): site for site in SITES}
    sites = tuple(
        LabSite(name, server="silent" if site == "down" else "up") for name, site in names.items()
    )
    urls = {f"https://{name}/": site for name, site in names.items()}
    with NetnsTestbed([Scenario("silence", sites, (), (shape, *_acts(path)), line)]) as testbed:
        table = testbed.folder / "table.csv"
        table.write_text(_TABLE)
        settings = f'asn_table = "{table}"\ncountry = "KZ"\n'
        with start_harness(testbed, ControlState.FRESH, list(urls), settings=settings) as harness:
            for seed in range(times):
                for record in harness.probe(list(urls), "--seed", str(seed)):
                    if record["experiment"] == "web" and isinstance(record["verdict"], dict):
                        yield _result(path, urls[str(record["input"])], record["verdict"])


def _result(path: str, site: str, verdict: dict[str, Any]) -> dict[str, Any]:
    place = verdict.get("place") or {}
    return {
        "path": path,
        "site": site,
        "outcome": verdict["outcome"],
        "rule": verdict["rules"][0]["id"],
        "by": place.get("by"),
        "place": [place.get("after"), place.get("before")],
        "load": round(os.getloadavg()[0], 1),
    }


def _row(path: str, site: str, results: list[dict[str, Any]]) -> str:
    network = [one for one in results if one["by"] == "network"]
    cells = [
        *(path, site, SITES[site], len(results)),
        sum(one["outcome"] == "blocked" for one in results),
        sum(one["by"] == "server" for one in results),
        *(len(network), sum(one["place"] == PLACE for one in network)),
        ", ".join(f"{n} {rule}" for rule, n in Counter(one["rule"] for one in results).items()),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Run, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--groups", default=",".join(PATHS), help="default: %(default)s")
    parser.add_argument("--append", type=Path, metavar="FILE", help="keep the results here")
    options = parser.parse_args()
    chosen = options.groups.split(",")
    if unknown := set(chosen) - set(PATHS):
        parser.error(f"no path {', '.join(unknown)}; there are: {', '.join(PATHS)}")
    known = options.append.read_text() if options.append and options.append.exists() else ""
    found = [json.loads(line) for line in known.splitlines()]
    for path in chosen:
        done = min(sum((r["path"], r["site"]) == (path, site) for r in found) for site in SITES)
        began, times = monotonic(), options.times - done
        for result in run(path, times) if times > 0 else ():
            found.append(result)
            if options.append:
                with options.append.open("a") as file:
                    file.write(json.dumps(result) + "\n")
        print(f"{path}: {times} runs in {monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print("| path | site | kind | runs | blocked | by server | by network | at its hop | rules |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in chosen:
        for site in SITES:
            own = [one for one in found if (one["path"], one["site"]) == (path, site)]
            print(_row(path, site, own))


if __name__ == "__main__":
    main()
