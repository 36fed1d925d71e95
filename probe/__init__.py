"""Measure what a network does to a list of sites, from a home machine."""

import sys

__version__ = "0.1.0"

# httpx imports its command line where it can, and rich with it: 4 MB that are not needed here.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
