"""Run one bulk server for `throttle_net` and print its port and pin.

Usage: python -m bench.throttle_server ADDRESS CONGESTION
"""

import asyncio
import json
import sys

from collector.throughput.server import BulkLimits, start_bulk


async def main() -> None:
    address, congestion = sys.argv[1:3]
    limits = BulkLimits(
        object_bytes=1 << 40, per_client=1000, total=1000, congestion=congestion, seconds=300
    )
    bulk = await start_bulk(address, 0, limits=limits)
    print(json.dumps({"port": bulk.port, "pin": bulk.spki_sha256}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
