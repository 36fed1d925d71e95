"""The internet's QUIC servers, for sites with HTTP/3.

Without aioquic there are none, and the catalogue has no scenarios that need them.
"""

import asyncio
import logging
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from probe.lab.pki import ServerCertificate
from probe.lab.topology import Topology

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration

PORT = 443
_START_LIMIT = 10.0


def is_here() -> bool:
    """Whether aioquic is installed."""
    return find_spec("aioquic") is not None


def configuration(served: ServerCertificate) -> "QuicConfiguration":
    """The configuration of a server with one certificate for every name."""
    from aioquic.quic.configuration import QuicConfiguration

    made = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
    made.certificate, *made.certificate_chain = x509.load_pem_x509_certificates(served.chain)
    made.private_key = load_pem_private_key(served.key, None)
    return made


def start(topology: Topology) -> None:
    """Serve QUIC at every address of a site with HTTP/3, in this namespace."""
    speaking = {
        address: topology.certificates[placed.site.name, address]
        for placed in topology.sites.values()
        if placed.site.quic == "up" and not placed.site.shares
        for address in placed.alive
    }
    if not speaking or not is_here():
        return
    logging.getLogger("quic").setLevel(logging.CRITICAL + 1)
    ready = threading.Event()
    threading.Thread(target=_run, args=(speaking, ready), daemon=True).start()
    ready.wait(_START_LIMIT)


def _run(speaking: dict[str, ServerCertificate], ready: threading.Event) -> None:
    async def forever() -> None:
        from aioquic.asyncio.server import serve

        for address, served in speaking.items():
            await serve(address, PORT, configuration=configuration(served))
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(forever())
