"""Optional dependencies (extras) and the message that says how to install one."""

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

# The module that each extra requires.
EXTRAS: Mapping[str, str] = MappingProxyType({"raw": "scapy", "quic": "aioquic"})


def missing(extra: str | None) -> str | None:
    """Return the message for a missing extra, or None if it is installed."""
    if extra is None or find_spec(EXTRAS[extra]) is not None:
        return None
    return f"needs an extra that is not installed: pip install 'qazprobe[{extra}]'"
