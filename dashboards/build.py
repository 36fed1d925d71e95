"""Write the Grafana dashboards as sorted JSON, or with `--check` list those that are out of date.

Run as `python -m dashboards.build`. The JSON is committed, so that Grafana needs no Python; a test
proves that it is up to date.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from dashboards import overview, target

FOLDER = Path(__file__).parent / "grafana" / "dashboards"


def rendered() -> Mapping[str, str]:
    """The JSON of every dashboard by file name."""
    made = (overview.build(), target.build())
    return {f"{one['uid']}.json": json.dumps(one, indent=2, sort_keys=True) + "\n" for one in made}


def stale() -> list[str]:
    """The files in the folder that differ from what the builder makes."""
    wanted = rendered()
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    names = {*wanted, *present}
    return sorted(name for name in names if wanted.get(name) != present.get(name))


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` compare; the exit code is 1 when any is out of date."""
    if "--check" in arguments:
        names = stale()
        if names:
            sys.stderr.write(f"out of date: {', '.join(names)}; run python -m dashboards.build\n")
        return 1 if names else 0
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
