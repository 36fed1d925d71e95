"""Facebook Messenger: the names its app asks for, the addresses they lead to, and TLS there.

An address that proves the name by a trusted certificate is the right one, whoever owns it; no list
of networks is needed to say that an answer was true.

Source of the places: OONI's facebook_messenger test (ts-019).
"""

from probe.experiments.service import of_service

EXPERIMENT = of_service("messenger")
