"""A TLS server on loopback that does to one client what a test says."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from collector.throughput.identity import BulkIdentity

TlsHandler = Callable[[ssl.SSLSocket], None]


@contextmanager
def tls_server(identity: BulkIdentity, handler: TlsHandler) -> Iterator[int]:
    """Serve one connection; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        raw, _ = listener.accept()
        try:
            with identity.context().wrap_socket(raw, server_side=True) as tls:
                handler(tls)
        except OSError:
            pass  # the client hung up first: its good right
        finally:
            raw.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(20)
        listener.close()
