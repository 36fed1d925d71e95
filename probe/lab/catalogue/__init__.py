"""The catalogue of all scenarios: one module per layer, found automatically."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from probe.lab.scenario import Scenario


@cache
def catalogue() -> tuple[Scenario, ...]:
    """All scenarios, layer by layer."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    return tuple(scenario for module in modules for scenario in getattr(module, "SCENARIOS", ()))
