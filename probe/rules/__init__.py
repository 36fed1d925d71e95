"""Every reason to conclude something, layer by layer, in the order in which they are told."""

from probe.infer import Rule
from probe.rules import (
    access,
    content,
    dns,
    fine,
    interception,
    nothing,
    tcp,
    tls,
)

MODULES = (access, interception, dns, tcp, tls, content, fine, nothing)

RULES: tuple[Rule, ...] = tuple(rule for module in MODULES for rule in module.RULES)
