"""What OONI concluded from a measurement, in one word; and whether our outcome says the same."""

from typing import Any

from probe.interop.ooni.incoming import values
from probe.model import Outcome

UNKNOWN = "nothing"
_BLOCKING = frozenset({"dns", "tcp_ip", "http-failure", "http-diff"})
_BLOCKED = frozenset({*_BLOCKING, "blocked"})
# Of each service: the members that say "blocked", or true, where something was.
_KEYS = {
    "whatsapp": ("registration_server_status", "whatsapp_endpoints_status", "whatsapp_web_status"),
    "signal": ("signal_backend_status",),
    "facebook_messenger": ("facebook_dns_blocking", "facebook_tcp_blocking"),
    "telegram": ("telegram_tcp_blocking", "telegram_http_blocking", "telegram_web_status"),
}
_SAME = {
    "accessible": {Outcome.OK, Outcome.THROTTLED, Outcome.REFUSED},
    "down": {Outcome.DOWN, Outcome.REFUSED},
    UNKNOWN: {Outcome.INCONCLUSIVE},
}
_INTERFERENCE = {Outcome.BLOCKED, Outcome.INTERCEPTED}


def said(measurement: Any) -> str:
    """`accessible`, `down`, `blocked` (of services), a reason for blocking, or `nothing`."""
    keys = values.member(measurement, "test_keys")
    names = _KEYS.get(values.text(measurement, "test_name"))
    return _of_web(keys) if names is None else _of_service([keys.get(n) for n in names])


def _of_web(keys: Any) -> str:
    blocking = values.member(keys, "blocking")
    if isinstance(blocking, str) and blocking in _BLOCKING:
        return blocking
    if blocking is False:
        return "accessible" if values.member(keys, "accessible") is True else "down"
    return UNKNOWN


def _of_service(told: list[Any]) -> str:
    if "blocked" in told or True in told:
        return "blocked"
    if all(one in ("ok", False) for one in told if one is not None) and any(
        one is not None for one in told
    ):
        return "accessible"
    return UNKNOWN


def is_same(word: str, outcome: str) -> bool:
    """Whether OONI's word and our outcome say the same, as far as words can."""
    return outcome in (_INTERFERENCE if word in _BLOCKED else _SAME.get(word, ()))
