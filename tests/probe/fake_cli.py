"""The real command over a fake network, for tests of whole processes.

`python -m tests.probe.fake_cli '{"bad.test": "reset"}' run https://bad.test/ -o -`
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
from probe.runner import loop, recheck_worker, record_release
from probe.runner.dependencies import RunDependencies
from tests.probe import fake_run


def call(behaviours: str, words: Sequence[str], patch: pytest.MonkeyPatch) -> NoReturn:
    """Run one command; `behaviours` is JSON, by host."""
    session = fake_run.FakeSession(
        json.loads(behaviours),
        dead=bool(os.environ.get("FAKE_DEAD")),
        delay=float(os.environ.get("FAKE_DELAY", "0")),
    )

    @asynccontextmanager
    async def dependencies(_: ClientContext) -> AsyncIterator[RunDependencies]:
        yield fake_run.fake_dependencies(session)

    for module in (loop, recheck_worker):
        patch.setattr(module, "run_dependencies", dependencies)
    for module in (record_release, recheck_worker):
        patch.setattr(module, "judge", fake_run.judge)
    cli.main(words)


if __name__ == "__main__":
    call(sys.argv[1], sys.argv[2:], pytest.MonkeyPatch())
