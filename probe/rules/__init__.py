"""Every reason to conclude something: one file a layer, found by itself, one function a rule."""

from importlib import import_module
from pkgutil import iter_modules

from probe.infer import Rule


def load() -> tuple[Rule, ...]:
    """Every rule of every module in this folder, in the order in which people read them."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    rules = [rule for module in modules for rule in module.RULES]
    return tuple(sorted(rules, key=lambda rule: rule.tier))


RULES: tuple[Rule, ...] = load()
