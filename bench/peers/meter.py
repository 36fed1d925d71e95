"""Run a command and write its cost: seconds, processor seconds, peak memory.

python -m bench.peers.meter OUT COMMAND…
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    out, argv = Path(sys.argv[1]), sys.argv[2:]
    began = time.monotonic()
    process = subprocess.Popen(argv)
    _, status, used = os.wait4(process.pid, 0)
    usage = {
        "seconds": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
        "exit": os.waitstatus_to_exitcode(status),
    }
    out.write_text(json.dumps(usage))


if __name__ == "__main__":
    main()
