"""Every rule: each module of this folder holds the rules of one layer or experiment.

A module's `EXPERIMENTS` names the experiments whose records its rules read. One rule may read the
records of fewer: `@rule(..., experiments=...)`. A new module needs no registration.
"""

from importlib import import_module
from pkgutil import iter_modules

from msgspec.structs import replace

from probe.rule import Rule, rules_of

# Within one tier, rules are listed in the order of their modules, and the first of two equally
# confident rules decides. A module that is not named here comes last.
READING_ORDER = (
    "access",
    "http",
    "http_pages",
    "dns",
    "dns_dead",
    "dns_resolver",
    "ok",
    "hello",
    "request",
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
    "throttle_cleared",
    "frozen",
    "tls",
    "mitm",
    "archive",
    "archive_cleared",
)


def load() -> tuple[Rule, ...]:
    """Every rule of every module in this folder, ordered by tier, module and definition."""
    order = {name: position for position, name in enumerate(READING_ORDER)}
    names = sorted(module.name for module in iter_modules(__path__))
    found: list[Rule] = []
    for name in sorted(names, key=lambda name: order.get(name, len(order))):
        module = import_module(f"{__name__}.{name}")
        found += (
            replace(rule, experiments=rule.experiments or module.EXPERIMENTS)
            for rule in rules_of(module)
        )
    return tuple(sorted(found, key=lambda rule: rule.tier))


RULES: tuple[Rule, ...] = load()
