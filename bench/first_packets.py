"""The first packets of Chromium and of the probe, side by side: DNS, plain HTTP, ClientHello.

    unshare -Urnm .venv/bin/python -m bench.first_packets [--browser chromium]

It plays resolver and server on the loopback of that namespace, and lets a browser without a window
open one plain and one secure page. Nothing leaves the machine. docs/hellos.md tells what differs.
"""

import argparse
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from probe.net.browser_request import http1_headers
from probe.net.dns_usual import query
from probe.net.ech import client_hello
from probe.net.hello import TlsContexts
from probe.net.http1 import Http1
from probe.net.http_response import HttpResponse

NAME = "site.example"
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_SECONDS = 20.0
Seen = dict[str, list[bytes]]


def _resolver(seen: Seen) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    while True:
        asked, peer = sock.recvfrom(4096)
        end = asked.index(b"\0", 12) + 5
        a = asked[end - 4 : end - 2] == b"\0\1"
        if NAME.split(".", maxsplit=1)[0].encode() in asked.lower():
            seen.setdefault("dns", []).append(asked)
        head = asked[:2] + b"\x81\x80" + struct.pack("!4H", 1, a, 0, 0)
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("127.0.0.1") if a else b""
        sock.sendto(head + asked[12:end] + answer, peer)


def _server(port: int, seen: Seen, what: str, whole: Callable[[bytes], bool]) -> None:
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(2.0)
                data = b""
                while not whole(data) and (more := _receive(connection)):
                    data += more
                if NAME.encode() in data:
                    seen.setdefault(what, []).append(data)
                if what == "http":
                    connection.sendall(_PAGE)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _is_record(data: bytes) -> bool:
    return len(data) > 5 and len(data) >= 5 + int.from_bytes(data[3:5])


def _browse(browser: str, folder: str) -> None:
    """Open one plain and one secure page, each with a profile of its own."""
    for scheme in ("http", "https"):
        argv = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        argv += [f"--user-data-dir={folder}/{scheme}", "--disable-dev-shm-usage", "--dump-dom"]
        argv += ["--disable-background-networking", "--disable-component-update"]
        argv += [f"{scheme}://{NAME}/"]
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(argv, stdout=nowhere, stderr=nowhere)
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def request_lines(data: bytes) -> list[str]:
    """A request, line by line."""
    return data.decode("latin-1").split("\r\n")


def hello_lines(data: bytes) -> list[str]:
    """A ClientHello: its size, the cipher suites, and each extension with its bytes."""
    at = 5 + 4 + 2 + 32
    at += 1 + data[at]
    size = int.from_bytes(data[at : at + 2])
    lines = [f"record of {len(data)} bytes", f"suites {data[at + 2 : at + 2 + size].hex()}"]
    at += 2 + size
    at += 1 + data[at] + 2
    while at + 4 <= len(data):
        kind, length = struct.unpack("!HH", data[at : at + 4])
        shown = data[at + 4 : at + 4 + min(length, 24)].hex()
        lines.append(f"extension {kind:#06x}: {length} bytes {shown}")
        at += 4 + length
    return lines


def query_lines(data: bytes) -> list[str]:
    """A query: flags, counts, question, and what follows it."""
    end = data.index(b"\0", 12) + 5
    flags = int.from_bytes(data[2:4])
    counts = struct.unpack("!4H", data[4:12])
    rest = data[end:].hex() or "nothing"
    kind = int.from_bytes(data[end - 4 : end - 2])
    return [f"flags {flags:#06x}, counts {counts}, type {kind}", f"then {rest}"]


def ours() -> dict[str, list[str]]:
    """The same of the probe, from the functions that write its packets."""
    request = Http1(HttpResponse(0)).request(b"GET", "/", http1_headers(NAME, b""))
    return {
        "dns": query_lines(query(0, NAME, "A")),
        "http": request_lines(request),
        "tls": hello_lines(client_hello(TlsContexts().get("default"), NAME)),
    }


def _watch(browser: str) -> Seen:
    seen: Seen = {}
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "resolv.conf")
        file.write_text("nameserver 127.0.0.1\n")
        subprocess.run(["mount", "--bind", file, Path("/etc/resolv.conf").resolve()], check=True)
        for serve, arguments in (
            (_resolver, (seen,)),
            (_server, (80, seen, "http", lambda data: b"\r\n\r\n" in data)),
            (_server, (443, seen, "tls", _is_record)),
        ):
            threading.Thread(target=serve, args=arguments, daemon=True).start()
        _browse(browser, folder)
        subprocess.run(["umount", Path("/etc/resolv.conf").resolve()], check=True)
    return seen


def main() -> None:
    """Watch the browser, and print what it sends beside what the probe sends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--browser", default="chromium")
    options = parser.parse_args()
    interfaces = {name for _, name in socket.if_nameindex()}
    if os.geteuid() != 0 or interfaces != {"lo"}:
        sys.exit("run it in a namespace of its own: unshare -Urnm …")
    seen = _watch(options.browser)
    shown = {"dns": query_lines, "http": request_lines, "tls": hello_lines}
    for what, mine in ours().items():
        theirs = list(dict.fromkeys(seen.get(what, ())))
        sizes = ", ".join(map(str, sorted({len(one) for one in theirs})))
        print(f"== {what}: the browser's {len(theirs)}, of {sizes} bytes")
        # A hello is the same but for its order, its GREASE and its keys.
        for data in theirs[: 1 if what == "tls" else 4]:
            print("\n".join(shown[what](data)))
        print(f"== {what}: the probe's")
        print("\n".join(mine))


if __name__ == "__main__":
    main()
