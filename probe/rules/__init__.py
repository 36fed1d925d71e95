"""Every reason to conclude something: one file a layer, found by itself, one function a rule."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

from probe.rule import Rule


def load() -> tuple[Rule, ...]:
    """Every rule of every module in this folder, in the order in which people read them."""
    return tuple(sorted(_all(), key=lambda rule: rule.tier))


def _all() -> Iterator[Rule]:
    """A module that names its `EXPERIMENTS` speaks of those alone."""
    for found in iter_modules(__path__):
        module = import_module(f"{__name__}.{found.name}")
        for rule in module.RULES:
            yield replace(rule, experiments=getattr(module, "EXPERIMENTS", rule.experiments))


RULES: tuple[Rule, ...] = load()
