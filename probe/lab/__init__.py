"""A simulated country: sites, a real censor, a line with faults, and what a right verdict is.

Everything happens inside network namespaces that vanish with the process that made them, or, where
namespaces are not allowed, on loopback. No packet leaves the machine.
"""
