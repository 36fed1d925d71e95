"""The catalogue: every scenario the lab can play, by layer. No name is used twice."""

from functools import cache

from probe.lab.catalogue import (
    controls,
    dns,
    http,
    innocent,
    lines,
    mitm,
    nation,
    tcp,
    throttle,
    tls,
)
from probe.lab.scenario import Scenario


@cache
def catalogue() -> tuple[Scenario, ...]:
    """All scenarios, in the order of the layers."""
    modules = (dns, tcp, tls, http, mitm, throttle, innocent, controls, nation, lines)
    return tuple(scenario for module in modules for scenario in module.SCENARIOS)
