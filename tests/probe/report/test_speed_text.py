import json

import pytest

from probe.failure import Failure
from probe.model import Record, Sample, Step, Tcp, Transfer, Vantage
from probe.report.speed_text import lines, summary


def record(*steps: Step) -> Record:
    return Record(
        id="1",
        run="2",
        experiment="speed",
        input="",
        started_at="2026-11-21T21:00:00.000Z",
        elapsed=1.0,
        vantage=Vantage(),
        steps=steps,
    )


def moved(**fields: object) -> Transfer:
    known: dict[str, object] = {
        "address": "192.0.2.1",
        "port": 443,
        "arm": "L",
        "pair": 1,
        "host": "speed.example",
        "protocol": "ndt7",
        "asked_bytes": 8_000_000,
        "wire_bytes": 8_100_000,
        "ended": "cap",
        "rate": 1_250_000.0,
        "samples": (Sample(at=0.0, wire=0), Sample(at=10.0, wire=8_000_000)),
    }
    return Transfer(**{**known, **fields})  # type: ignore[arg-type] # a test's own fields


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (moved(), "Download: 10 Mbit/s"),
        (moved(direction="up", rate=12_345_678.0), "Upload: 98.8 Mbit/s"),
        (moved(rate=123_456_789.0), "Download: 988 Mbit/s"),
        (
            moved(ended="full", samples=(Sample(at=0.0, wire=0), Sample(at=0.3, wire=8_000_000))),
            "Download: at least 10 Mbit/s",
        ),
        (moved(ended="budget", samples=()), "Download: no number: the daily byte quota"),
        (moved(other_bytes=9_000_000), "Download: no number: this machine used the line"),
        (
            moved(ended="error", failure=Failure.UNKNOWN, detail="NO_NDT7", status=404),
            "Download: no number: the server does not speak ndt7 (HTTP 404)",
        ),
        (moved(ended="reset", failure=Failure.RESET), "no number: connection reset"),
        (moved(ended="stall"), "Download: no number: stall"),
    ],
)
def test_each_direction_has_its_line(step: Transfer, said: str) -> None:
    (line,) = lines(record(step))
    assert said in line


def test_where_nothing_was_measured_the_reason_is_said() -> None:
    refused = Tcp(address="192.0.2.1", port=443, failure=Failure.REFUSED)
    (line,) = lines(record(refused))
    assert line == "Nothing was measured: no connection to 192.0.2.1 (refused)."


def test_a_script_gets_the_numbers() -> None:
    said = json.loads(summary(record(moved())))
    assert said["down"]["bits_per_second"] == 10_000_000
    assert (said["down"]["protocol"], said["down"]["lower_bound"]) == ("ndt7", False)
    assert "up" not in said
