"""The internet's QUIC servers: real ones, for the sites that have them.

Without aioquic nobody listens, and scenarios that need it are not in the catalogue.
"""

import asyncio
import logging
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from probe.lab.pki import Served
from probe.lab.topology import Topology

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration

PORT = 443
_START_LIMIT = 10.0


def is_here() -> bool:
    """Whether QUIC can be spoken on this machine."""
    return find_spec("aioquic") is not None


def configuration(served: Served) -> "QuicConfiguration":
    """A server that answers every name with one certificate."""
    from aioquic.quic.configuration import QuicConfiguration

    made = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
    made.certificate, *made.certificate_chain = x509.load_pem_x509_certificates(served.chain)
    made.private_key = load_pem_private_key(served.key, None)
    return made


def start(world: Topology) -> None:
    """Answer at every address of a site that speaks QUIC, in this namespace."""
    speaking = {
        address: world.served[place.site.name, address]
        for place in world.places.values()
        if place.site.quic == "up" and not place.site.shares
        for address in place.alive
    }
    if not speaking or not is_here():
        return
    logging.getLogger("quic").setLevel(logging.CRITICAL + 1)
    ready = threading.Event()
    threading.Thread(target=_run, args=(speaking, ready), daemon=True).start()
    ready.wait(_START_LIMIT)


def _run(speaking: dict[str, Served], ready: threading.Event) -> None:
    async def forever() -> None:
        from aioquic.asyncio.server import serve

        for address, served in speaking.items():
            await serve(address, PORT, configuration=configuration(served))
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(forever())
