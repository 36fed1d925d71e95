"""Run a command and write down what it cost: seconds, processor, the most memory it held.

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
    said = {
        "seconds": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
        "exit": os.waitstatus_to_exitcode(status),
    }
    out.write_text(json.dumps(said))


if __name__ == "__main__":
    main()
