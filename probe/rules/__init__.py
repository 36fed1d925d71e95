"""Every reason to conclude something: one file a layer, found by itself, one function a rule."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from probe.infer import Rule


@cache
def _modules() -> tuple[ModuleType, ...]:
    return tuple(import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))


def load() -> tuple[Rule, ...]:
    """Every rule of every module in this folder, in the order in which people read them."""
    rules = [rule for module in _modules() for rule in module.RULES]
    return tuple(sorted(rules, key=lambda rule: rule.tier))


@cache
def rules_for(experiment: str) -> tuple[Rule, ...]:
    """The rules for one experiment: a module that names its `EXPERIMENTS` is for those alone."""
    own = [module for module in _modules() if experiment in getattr(module, "EXPERIMENTS", ())]
    chosen = own or [module for module in _modules() if not hasattr(module, "EXPERIMENTS")]
    rules = [rule for module in chosen for rule in module.RULES]
    return tuple(sorted(rules, key=lambda rule: rule.tier))


RULES: tuple[Rule, ...] = load()
