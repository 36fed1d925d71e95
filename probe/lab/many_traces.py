"""Trace many names at once, in one process: `python -m probe.lab.many_traces CA_FILE HOME`.

Standard input has a JSON list of pairs: a name, and the file of its table of networks. For each
trace one JSON line says the outcome, the deciding rule and the place. It does what `qazprobe trace`
does, without starting a program for each name.
"""

import asyncio
import json
import sys
from pathlib import Path

from probe.config import Settings
from probe.errors import UserError
from probe.runner import single_trace

_AT_ONCE = 12
_OPTIONS: dict[str, object] = {"max_hops": 24, "tries": 3, "residual": 0, "keep": False}


async def _trace(name: str, table: str, ca_file: str, home: Path) -> dict[str, object]:
    settings = Settings(lab=True, ca_file=ca_file, country="KZ", asn_table=table)
    try:
        traced = await single_trace.trace(settings, home, f"https://{name}/", _OPTIONS)
    except UserError as error:
        return {"name": name, "outcome": "error", "rule": str(error), "place": None}
    verdict = traced.record.verdict
    if verdict is None:
        return {"name": name, "outcome": "none", "rule": "", "place": None}
    place = verdict.place
    return {
        "name": name,
        "outcome": verdict.outcome,
        "rule": verdict.rules[0].id if verdict.rules else "",
        "place": None if place is None else [place.after, place.before],
    }


async def _all(pairs: list[tuple[str, str]], ca_file: str, home: Path) -> None:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str, table: str) -> None:
        async with slots:
            line = json.dumps(await _trace(name, table, ca_file, home))
            print(line, flush=True)  # noqa: T201 - its output

    async with asyncio.TaskGroup() as group:
        for name, table in pairs:
            group.create_task(one(name, table))


if __name__ == "__main__":
    asyncio.run(_all(json.load(sys.stdin), sys.argv[1], Path(sys.argv[2])))
