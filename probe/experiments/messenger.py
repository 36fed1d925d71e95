"""Facebook Messenger: the names its app asks for, the addresses they lead to, and TLS there.

An address that proves the name by a trusted certificate is a correct one, in any network; no list
of networks is needed to verify an answer.

Source of the endpoints: OONI's facebook_messenger test (ts-019).
"""

from probe.experiments.service import of_service

EXPERIMENT = of_service("messenger")
