"""The collector's client: keys, spool, upload. No other code sends results."""

import sys

# What httpx imports where it can, and nothing here uses: its command line with rich (5 MB, 75 ms),
# and HTTP/2 (2 MB, 15 ms). A heartbeat starts a process every five minutes.
for _unused in ("httpx._main", "httpcore._async.http2", "httpcore._sync.http2"):
    sys.modules.setdefault(_unused, None)  # type: ignore[arg-type]
