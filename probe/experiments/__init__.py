"""The experiments: one module each, which `load` finds."""

from importlib import import_module
from pkgutil import iter_modules

from probe.experiments.interface import Experiment


def load() -> dict[str, Experiment]:
    """Every experiment by name: the `EXPERIMENT` of each module in this folder."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    found = (getattr(module, "EXPERIMENT", None) for module in modules)
    return {one.name: one for one in found if isinstance(one, Experiment)}
