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
from probe.job import recheck, rounds
from probe.sharing.post import Outfit
from probe.sweep.kit import Kit
from tests.probe.stage import Stage, kit


def play(manners: str, words: Sequence[str], patch: pytest.MonkeyPatch) -> NoReturn:
    """Run one command on a stage."""
    delay = float(os.environ.get("STAGE_DELAY", "0"))
    stage = Stage(json.loads(manners), dead=bool(os.environ.get("STAGE_DEAD")), delay=delay)

    @asynccontextmanager
    async def staged(_: Outfit) -> AsyncIterator[Kit]:
        yield kit(stage)

    patch.setattr(rounds, "kit", staged)
    patch.setattr(recheck, "kit", staged)
    cli.main(words)


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2:], pytest.MonkeyPatch())
