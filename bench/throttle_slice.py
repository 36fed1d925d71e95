"""A slice of the table, small enough for the tests: prints one JSON object.

Usage: python -m bench.throttle_slice
"""

import asyncio
import json

from bench.throttle_net import THROTTLED_NAME, Line, Net, rerun_inside
from bench.throttle_plateau import Limited, expected, limit, run
from bench.throttle_rows import KBIT_524
from bench.throttle_runs import CONDITIONS, freezes, late_limit, runs, set_up_line
from probe.analysis.paired_test import rate
from probe.experiments.operations import TransferRequest
from probe.experiments.throughput import LATE
from probe.net.transfer import transfer


def plateau_error(net: Net, cell: Limited) -> float:
    """Error in percent at one limiter."""
    net.line(Line(cell.delay / 2))
    served = net.serve(cell.congestion)
    limit(net, cell)
    return abs((run(served, 4.0).rate or 0.0) / expected(cell) - 1) * 100


def late_rates(net: Net) -> dict[str, float | None]:
    """What each name gets later in a connection, where one is limited after three seconds."""
    bulk_server = set_up_line(net, CONDITIONS[0])
    net.limit_name(late_limit("police after 3 s", KBIT_524), CONDITIONS[0].bits)
    found = {}
    for name in ("open.test", THROTTLED_NAME):
        request = TransferRequest(
            *(bulk_server.address, bulk_server.port, name, LATE.size),
            path=f"/{LATE.size}",
            host="any.test",
            pin=bulk_server.pin,
            cap=LATE.cap,
            hold=LATE.hold,
        )
        found[name] = rate(asyncio.run(transfer(request)))
    return found


def main() -> None:
    rerun_inside()
    with Net() as net:
        (open_line,) = runs(net, CONDITIONS[0], "metered", 0.0, [1])
        (frozen,) = freezes(net, CONDITIONS[0], 16_384, [1])
        shaped = plateau_error(net, Limited("tbf", 1e6, 0.04, "cubic"))
        policed = plateau_error(net, Limited("police", 1e6, 0.04, "cubic"))
        late = late_rates(net)
    found = {
        "late": late,
        "open": open_line.state,
        "open_transfers": open_line.transfers,
        "frozen": frozen.state,
        "stalled_at": frozen.stalled_at,
        "let_through": frozen.truth,
        "shaped_error": shaped,
        "policed_error": policed,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
