"""A slice of the table, small enough for the tests: prints one JSON object.

Usage: python -m bench.throttle_slice
"""

import json

from bench.throttle_net import Line, Net, rerun_inside
from bench.throttle_plateau import Limited, expected, limit, run
from bench.throttle_runs import CONDITIONS, freezes, runs


def plateau_error(net: Net, cell: Limited) -> float:
    """Error in percent at one limiter."""
    net.line(Line(cell.delay / 2))
    served = net.serve(cell.congestion)
    limit(net, cell)
    return abs((run(served, 4.0).rate or 0.0) / expected(cell) - 1) * 100


def main() -> None:
    rerun_inside()
    with Net() as net:
        (open_line,) = runs(net, CONDITIONS[0], "metered", 0.0, [1])
        (frozen,) = freezes(net, CONDITIONS[0], 16_384, [1])
        shaped = plateau_error(net, Limited("tbf", 1e6, 0.04, "cubic"))
        policed = plateau_error(net, Limited("police", 1e6, 0.04, "cubic"))
    found = {
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
