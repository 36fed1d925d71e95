"""Measure what a network does to a list of sites, from a home machine."""

import sys

__version__ = "0.1.0"

# httpx imports a command line of its own where it can, and rich with it: 4 MB that this program does not need.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
