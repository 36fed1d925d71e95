"""The real command with a staged network in place of the real one, for tests of processes.

`python -m tests.probe.actor '{"bad.test": "reset"}' run https://bad.test/ -o -`
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest

from probe import cli
from probe.client.context import ClientContext
from probe.runner import loop, recheck_worker
from probe.runner.ports import RunDependencies
from tests.probe.stage import Stage, kit


def play(manners: str, words: Sequence[str], patch: pytest.MonkeyPatch) -> NoReturn:
    """Run one command on a stage."""
    delay = float(os.environ.get("STAGE_DELAY", "0"))
    stage = Stage(json.loads(manners), dead=bool(os.environ.get("STAGE_DEAD")), delay=delay)

    @asynccontextmanager
    async def staged(_: ClientContext) -> AsyncIterator[RunDependencies]:
        yield kit(stage)

    patch.setattr(loop, "kit", staged)
    patch.setattr(recheck_worker, "kit", staged)
    cli.main(words)


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2:], pytest.MonkeyPatch())
