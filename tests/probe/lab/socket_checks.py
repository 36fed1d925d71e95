"""Checks of the lab with plain sockets, run on one of its nodes: `python socket_checks.py JSON`.

Runs a list of checks at once, each `[name, argument...]`, and prints their results as JSON.
"""

import json
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import dns.message
import dns.rcode

LIMIT = 1.2


def connect(address: str, port: int) -> socket.socket | str:
    try:
        return socket.create_connection((address, port), timeout=LIMIT)
    except TimeoutError:
        return "timeout"
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"
    except OSError as error:
        return {101: "net unreachable", 113: "host unreachable"}.get(error.errno or 0, str(error))


def hello(name: str | None, *, tls12: bool = False) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    outgoing = ssl.MemoryBIO()
    machine = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        machine.do_handshake()
    return outgoing.read()


def first_answer(connection: socket.socket) -> str:
    """What the peer sends first."""
    connection.settimeout(LIMIT)
    try:
        data = connection.recv(65536)
    except TimeoutError:
        return "silence"
    except ConnectionResetError:
        return "reset"
    if not data:
        return "fin"
    if data[0] == 21:
        return f"alert {data[6]}"
    return "tls" if data[0] == 22 else f"bytes {data[:60]!r}"


def tls(address: str, name: str, port: int = 443) -> str:
    connection = connect(address, port)
    if isinstance(connection, str):
        return connection
    with connection:
        connection.sendall(hello(name))
        return first_answer(connection)


def issuer(address: str, name: str, port: int = 443) -> str:
    from cryptography import x509

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = socket.create_connection((address, port), timeout=5)
    with connection, context.wrap_socket(connection, server_hostname=name) as stream:
        leaf = x509.load_der_x509_certificate(stream.getpeercert(binary_form=True) or b"")
    return leaf.issuer.rfc4514_string()


def web(address: str, host: str, path: str = "/", port: int = 80) -> str:
    connection = connect(address, port)
    if isinstance(connection, str):
        return connection
    data = b""
    with connection:
        connection.settimeout(LIMIT)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        try:
            while more := connection.recv(65536):
                data += more
        except TimeoutError:
            return "silence"
        except ConnectionResetError:
            return "reset"
    return data.decode(errors="replace")[:2000] if data else "fin"


def names(name: str, resolver: str, kind: str = "A", port: int = 53) -> str:
    """Every reply within the limit as `rcode addresses`, joined by `|`."""
    query = dns.message.make_query(name, kind)
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(query.to_wire(), (resolver, port))
        deadline = time.monotonic() + LIMIT
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                reply = dns.message.from_wire(connection.recv(4096))
            except TimeoutError:
                break
            found = " ".join(str(each) for rrset in reply.answer for each in rrset)
            seen.append(f"{dns.rcode.to_text(reply.rcode())} {found}".strip())
    return "|".join(seen) or "silence"


def fetch(address: str, name: str, cap: int = 120_000, port: int = 443) -> str:
    """Bytes and seconds of at most `cap` bytes, or three seconds, of a page over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    received, began = 0, time.monotonic()
    connection = socket.create_connection((address, port), timeout=5)
    with connection, context.wrap_socket(connection, server_hostname=name) as stream:
        stream.settimeout(2)
        stream.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        try:
            while received < cap and time.monotonic() - began < 3:
                more = stream.recv(65536)
                received += len(more)
                if not more:
                    break
        except TimeoutError:
            return f"frozen {received}"
    return f"{received} {time.monotonic() - began:.3f}"


def connect_and_wait(address: str, port: int) -> str:
    connection = connect(address, port)
    if isinstance(connection, str):
        return connection
    with connection:
        connection.settimeout(0.3)
        try:
            return "reset" if connection.recv(1) == b"" else "open"
        except TimeoutError:
            return "open"
        except ConnectionResetError:
            return "reset"


CHECKS = {
    "tls": tls,
    "issuer": issuer,
    "web": web,
    "names": names,
    "fetch": fetch,
    "connect": connect_and_wait,
}


def run_check(observe: list[Any]) -> str:
    try:
        return CHECKS[observe[0]](*observe[1:])  # type: ignore[operator, no-any-return]
    except OSError as error:
        return f"{type(error).__name__} {error}"


def main() -> None:
    checks = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(checks)) as pool:
        print(json.dumps(list(pool.map(run_check, checks))))


if __name__ == "__main__":
    main()
