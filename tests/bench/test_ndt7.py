"""The number that `qazprobe speed` gives, on real TCP through a queue of a known rate."""

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
@pytest.mark.alone
@pytest.mark.skipif(REASON is not None, reason=f"no network namespaces here: {REASON}")
def test_a_line_of_ten_megabits_is_measured_right_in_both_directions() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.ndt7", "--rates", "10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert max(map(abs, found["error_percent"].values())) < 10
