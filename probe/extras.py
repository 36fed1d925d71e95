"""Optional parts of the program: which there are, and the one line that says how to get one."""

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

# The module that an extra stands and falls with.
EXTRAS: Mapping[str, str] = MappingProxyType({"raw": "scapy", "quic": "aioquic"})


def missing(extra: str | None) -> str | None:
    """Why what needs this extra cannot be done here, or None when it can."""
    if extra is None or find_spec(EXTRAS[extra]) is not None:
        return None
    return f"needs an extra that is not installed: pip install 'qazprobe[{extra}]'"
