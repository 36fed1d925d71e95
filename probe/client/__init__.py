"""The collector's client: keys, spool, upload. No other code sends results."""

import sys

# httpx imports its command line where it can, and rich with it: 5 MB and 75 ms that are not needed.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
