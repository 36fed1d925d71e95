"""Servers on loopback that misbehave, and their certificates."""

import datetime as dt
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Handler = Callable[[socket.socket], object]
NOW = dt.datetime.now(dt.UTC)


@contextmanager
def tcp_server(handler: Handler) -> Iterator[int]:
    """Serve every connection with `handler`; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    stopping = threading.Event()
    threads: list[threading.Thread] = []

    def one(sock: socket.socket) -> None:
        with sock:
            sock.settimeout(5)
            with suppress(OSError):  # the client closed first
                handler(sock)

    def loop() -> None:
        while not stopping.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=one, args=(sock,), daemon=True)
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=loop, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
        for thread in threads:
            thread.join(6)


@contextmanager
def udp_server(reply: Callable[[bytes, Callable[[bytes], None]], None]) -> Iterator[int]:
    """Answer datagrams: `reply` gets each one and a function to send back; yields the port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def loop() -> None:
        while True:
            data, peer = sock.recvfrom(4096)
            if data == b"stop":
                return
            reply(data, partial(_send, sock, peer))

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"stop", sock.getsockname())
        thread.join(5)
        sock.close()


def _send(sock: socket.socket, peer: tuple[str, int], data: bytes) -> None:
    sock.sendto(data, peer)


def reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def until_closed(sock: socket.socket) -> None:
    """Send nothing until the client closes."""
    while sock.recv(65536):
        pass


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key and chain."""

    der: bytes
    pem: bytes

    def context(self, tmp: Path, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A server context that serves it."""
        file = tmp / f"{abs(hash(self.pem))}.pem"
        file.write_bytes(self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


@dataclass
class Authority:
    """A test root, which issues leaves."""

    name: str = "Test Root"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        ca = x509.BasicConstraints(ca=True, path_length=None)
        builder = _dated(x509.CertificateBuilder(), 365).subject_name(self.subject)
        builder = builder.issuer_name(self.subject).public_key(self.key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.add_extension(ca, critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path) -> Path:
        """Write the root to a file of roots."""
        file = folder / "roots.pem"
        file.write_bytes(self.pem)
        return file

    def leaf(self, *names: str, days: float = 90, self_signed: bool = False) -> Leaf:
        """A certificate for these names; negative `days`: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = _dated(x509.CertificateBuilder(), days).subject_name(subject)
        builder = builder.issuer_name(subject if self_signed else self.subject)
        builder = builder.public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        alt = x509.SubjectAlternativeName([_alt(name) for name in names])
        builder = builder.add_extension(alt, critical=False)
        certificate = builder.sign(key if self_signed else self.key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        pem = secret + certificate.public_bytes(serialization.Encoding.PEM)
        der = certificate.public_bytes(serialization.Encoding.DER)
        return Leaf(der, pem if self_signed else pem + self.pem)


def _dated(builder: x509.CertificateBuilder, days: float) -> x509.CertificateBuilder:
    end = NOW + dt.timedelta(days=days)
    return builder.not_valid_before(min(NOW, end) - dt.timedelta(days=2)).not_valid_after(end)


def _alt(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
