"""The requests of OONI's clients, byte for byte as they send them, over a real socket.

Texts and values are of our own making; members, headers and their order are the format's.
"""

import asyncio
import gzip
import json
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

SEPARATOR = b"\r\n\r\n"


class WireReply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


async def send(url: str, raw: bytes) -> WireReply:
    """Send the bytes of one request on a new connection, and read its response."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(raw)
    await writer.drain()
    head = (await reader.readuntil(SEPARATOR)).decode()
    lines = head.split("\r\n")
    named = (line.partition(":") for line in lines[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in named}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    writer.close()
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    if headers.get("content-encoding") == "deflate":
        raise AssertionError("clients ask for gzip only")
    return WireReply(int(lines[0].split()[1]), headers, body)


def get(url: str, path: str, *, agent: str, token: str = "") -> bytes:
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nUser-Agent: {agent}\r\n"
        f"{bearer}Accept-Encoding: gzip\r\n\r\n"
    ).encode()


def post(
    url: str, path: str, body: bytes, *, agent: str, packed: bool = False, extra: str = ""
) -> bytes:
    body = gzip.compress(body) if packed else body
    encoding = "Content-Encoding: gzip\r\n" if packed else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nUser-Agent: {agent}\r\n"
        f"Content-Length: {len(body)}\r\nAccept-Encoding: gzip\r\n{encoding}"
        f"Content-Type: application/json\r\n{extra}\r\n"
    ).encode() + body


def measurement(url: str = "https://listed.example/", **changes: Any) -> dict[str, Any]:
    """A web_connectivity measurement in which everything worked."""
    host = urlsplit(url).hostname
    found: dict[str, Any] = {
        "annotations": {"architecture": "amd64", "engine_name": "ooniprobe-engine"},
        "data_format_version": "0.2.0",
        "extensions": {"dnst": 0, "httpt": 0, "netevents": 0, "tcpconnect": 0, "tlshandshake": 0},
        "input": url,
        "measurement_start_time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "probe_asn": "AS9198",
        "probe_cc": "KZ",
        "probe_ip": "127.0.0.1",
        "probe_network_name": "JSC Kazakhtelecom",
        "report_id": "",
        "resolver_asn": "AS9198",
        "resolver_ip": "92.46.190.5",
        "resolver_network_name": "JSC Kazakhtelecom",
        "software_name": "miniooni",
        "software_version": "3.30.0",
        "test_keys": {
            "agent": "redirect",
            "client_resolver": "92.46.190.5",
            "queries": [
                {
                    "answers": [{"answer_type": "A", "ipv4": "93.184.216.34", "ttl": None}],
                    "engine": "system",
                    "failure": None,
                    "hostname": host,
                    "query_type": "A",
                    "resolver_address": "",
                    "t0": 0.01,
                    "t": 0.02,
                    "transaction_id": 10001,
                }
            ],
            "tcp_connect": [
                {
                    "ip": "93.184.216.34",
                    "port": 443,
                    "status": {"failure": None, "success": True},
                    "t0": 0.03,
                    "t": 0.06,
                    "transaction_id": 20001,
                }
            ],
            "tls_handshakes": [],
            "requests": [],
            "network_events": None,
            "control": None,
            "control_failure": "unknown_failure: none",
            "blocking": False,
            "accessible": True,
        },
        "test_name": "web_connectivity",
        "test_runtime": 1.5,
        "test_start_time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "test_version": "0.5.28",
    }
    return {**found, **changes}


def as_text(value: Any) -> bytes:
    """JSON as Go writes it: without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


def submission(value: dict[str, Any]) -> bytes:
    """The body of a submission without a credential."""
    content = as_text(value).decode()
    unused = dict.fromkeys(("nym", "zkp_request", "manifest_version", "protocol_version"))
    return as_text({"format": "json", "content": content, **unused})


def report_of(value: dict[str, Any]) -> bytes:
    """The body with which an old client begins a report."""
    of = ("probe_asn", "probe_cc", "software_name", "software_version", "test_name")
    names = (*of, "test_start_time", "test_version")
    fixed = {"data_format_version": "0.2.0", "format": "json"}
    return as_text({**fixed, **{name: value[name] for name in names}})
