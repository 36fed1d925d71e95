"""Write the Grafana dashboards as sorted JSON, or with `--check` list those that are out of date.

Run as `python -m dashboards.build`. The JSON is committed, so that Grafana needs no Python; a test
proves that it is up to date. `--collector URL --folder FOLDER` writes dashboards whose links lead
to the pages of this collector.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board, collector, interception, network, outages, overview, site, throttling

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
BUILDERS: Mapping[str, Callable[[], Dashboard]] = {
    "qazprobe-overview": overview.build,
    "qazprobe-site": site.build,
    "qazprobe-network": network.build,
    "qazprobe-interception": interception.build,
    "qazprobe-throttling": throttling.build,
    "qazprobe-outages": outages.build,
    "qazprobe-collector": collector.build,
}


def rendered(address: str = board.COLLECTOR) -> Mapping[str, str]:
    """The JSON of every dashboard by file name, for a collector with this address."""
    return {
        f"{uid}.json": _json(build()).replace(board.COLLECTOR, address)
        for uid, build in BUILDERS.items()
    }


def _json(made: Dashboard) -> str:
    return json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def stale() -> list[str]:
    """The files in the folder that differ from what the builder makes."""
    wanted = rendered()
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    names = {*wanted, *present}
    return sorted(name for name in names if wanted.get(name) != present.get(name))


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` compare; the exit code is 1 when any is out of date."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--collector", metavar="URL", default=board.COLLECTOR)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    chosen = parser.parse_args(arguments)
    if chosen.check:
        names = stale()
        if names:
            sys.stderr.write(f"out of date: {', '.join(names)}; run python -m dashboards.build\n")
        return 1 if names else 0
    for name, text in rendered(chosen.collector.rstrip("/")).items():
        (chosen.folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
