"""A network testbed: sites, a censor, an access line with faults, and the right verdicts.

It runs inside network namespaces that end with the process that made them or, without namespaces,
on loopback. No packet leaves the machine.
"""
