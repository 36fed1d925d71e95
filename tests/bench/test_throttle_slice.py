"""A small slice of the throttling benchmark, on real TCP through real limiters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.throttle_net import unavailable_reason

ROOT = Path(__file__).parents[2]
REASON = unavailable_reason()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.skipif(REASON is not None, reason=f"no network namespaces here: {REASON}")
def test_an_open_line_a_freeze_a_late_limit_a_shaper_and_a_policer_are_measured_right() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.throttle_slice"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["open"] == "ok"
    assert found["open_transfers"] == 2
    assert found["frozen"] == "freeze"
    assert all(abs(at - found["let_through"]) <= 1448 for at in found["stalled_at"])
    assert found["shaped_error"] <= 2.0
    late = found["late"]
    assert late["blocked.test"] < late["open.test"] / 3
    assert late["blocked.test"] == pytest.approx(524_288 / 8, rel=0.3)
    assert found["policed_error"] <= 10.0  # one short flow; the table has the distribution
