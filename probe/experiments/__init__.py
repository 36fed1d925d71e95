"""What can be measured: one file each, found by itself (see `load`)."""

from importlib import import_module
from pkgutil import iter_modules

from probe.experiments.port import Experiment

_NOT_EXPERIMENTS = frozenset({"port", "trail"})


def load() -> dict[str, Experiment]:
    """Every experiment by name; each module in this folder but the shared ones ends in one."""
    names = (found.name for found in iter_modules(__path__))
    modules = (
        import_module(f"{__name__}.{name}") for name in names if name not in _NOT_EXPERIMENTS
    )
    return {module.EXPERIMENT.name: module.EXPERIMENT for module in modules}
