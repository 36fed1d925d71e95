"""Every reason to conclude something: one file a layer, found by itself, one function a rule."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

from probe.rule import Rule

# Within one tier, rules are listed in the order of their modules, and the first of two equally
# confident rules decides. A module that is not named here comes last.
READING_ORDER = (
    "access",
    "http",
    "dns",
    "ok",
    "hello",
    "tls_interception",
    "unclear",
    "trace",
    "quic",
    "dns_transports",
    "services",
    "connectivity",
    "speed",
    "services_blocked",
    "tcp",
    "throttle",
    "tls",
    "mitm",
)


def load() -> tuple[Rule, ...]:
    """Every rule of every module in this folder, in the order in which people read them."""
    return tuple(sorted(_all(), key=lambda rule: rule.tier))


def _all() -> Iterator[Rule]:
    """A module that names its `EXPERIMENTS` speaks of those alone."""
    found = sorted((module.name for module in iter_modules(__path__)), key=_reading_order)
    for name in found:
        module = import_module(f"{__name__}.{name}")
        for rule in module.RULES:
            yield replace(rule, experiments=getattr(module, "EXPERIMENTS", rule.experiments))


def _reading_order(module: str) -> tuple[int, str]:
    known = module in READING_ORDER
    return (READING_ORDER.index(module) if known else len(READING_ORDER), module)


RULES: tuple[Rule, ...] = load()
