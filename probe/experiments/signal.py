"""Signal: the servers its app needs, by TLS under Signal's own root.

No browser knows that root; a chain that verifies under its public key (targets/authorities) proves
the server nevertheless. Any other chain is compared with the one that a control sees.

Source of the endpoints: OONI's signal test (ts-029), Signal's own apps.
"""

from probe.experiments.service import of_service

EXPERIMENT = of_service("signal")
