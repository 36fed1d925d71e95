"""Measurements in OONI's format, written by hand for the tests: one function for each part.

The shapes are those of web_connectivity 0.5; `older` makes that of 0.4, and of probes before it.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

SITE = "site.example"
HERE, THERE = "93.184.216.34", "93.184.216.35"
BLOCKPAGE_AT = "185.60.216.35"
URL = f"https://{SITE}/"
PLAIN = f"http://{SITE}/"
PAGE = (
    "<html><head><title>The news of the day</title></head><body>"
    + "<p>What happened in the city and in the country, told by people who were there.</p>" * 40
    + "</body></html>"
)
TITLE = "<title>Доступ ограничен</title>"
WORDS = "Доступ к информационному ресурсу ограничен по решению суда."  # noqa: RUF001 - Russian
# A text that providers have to show, and one that any site may show to a country.
ORDERED = "заблокирован в соответствии с законодательством Республики Казахстан"  # noqa: RUF001 - Russian
NOTICE = f"<html><head>{TITLE}</head><body><p>{ORDERED}</p></body></html>"
ANYBODYS = f"<html><head>{TITLE}</head><body><p>{WORDS}</p></body></html>"
HEADERS = [["Content-Type", "text/html; charset=utf-8"], ["Server", "nginx"]]

Entry = dict[str, Any]


def query(
    answers: Iterable[str] = (HERE,),
    *,
    engine: str = "getaddrinfo",
    name: str = SITE,
    failure: str | None = None,
    asn: int = 15133,
    depth: int = 0,
    type_: str | None = None,
) -> Entry:
    """One query; `getaddrinfo` asks for ANY."""
    listed = [
        {"answer_type": "AAAA", "ipv6": one, "ttl": None, "asn": asn}
        if ":" in one
        else {"answer_type": "A", "ipv4": one, "ttl": None, "asn": asn}
        for one in answers
    ]
    return {
        "answers": listed if failure is None else None,
        "engine": engine,
        "failure": failure,
        "hostname": name,
        "query_type": type_ or ("ANY" if engine == "getaddrinfo" else "A"),
        "resolver_address": {"udp": "8.8.8.8:53", "doh": "https://dns.example/q"}.get(engine, ""),
        "t0": 0.01 + 3 * depth,
        "t": 0.05 + 3 * depth,
        "tags": [f"depth={depth}"],
        "transaction_id": {"udp": 10001, "doh": 20001}.get(engine, 1),
    }


def denied(failure: str = "dns_nxdomain_error", **more: Any) -> Entry:
    """A query that got no address."""
    return query((), failure=failure, **more)


def connect(
    ip: str = HERE, port: int = 443, failure: str | None = None, *, depth: int = 0
) -> Entry:
    """One connection."""
    return {
        "ip": ip,
        "port": port,
        "status": {"failure": failure, "success": failure is None},
        "t0": 0.1 + 3 * depth,
        "t": 0.15 + 3 * depth,
        "tags": [f"depth={depth}"],
        "transaction_id": _transaction(ip, port, depth),
    }


def shake(
    ip: str = HERE,
    failure: str | None = None,
    *,
    port: int = 443,
    name: str = SITE,
    certs: Iterable[bytes] | None = None,
    depth: int = 0,
) -> Entry:
    """One handshake."""
    kept = [{"format": "base64", "data": base64.b64encode(c).decode()} for c in certs or ()]
    return {
        "network": "tcp",
        "address": _endpoint(ip, port),
        "cipher_suite": "TLS_AES_128_GCM_SHA256" if failure is None else "",
        "failure": failure,
        "negotiated_protocol": "h2" if failure is None else "",
        "no_tls_verify": False,
        "peer_certificates": kept or None,
        "server_name": name,
        "tls_version": "TLSv1.3" if failure is None else "",
        "t0": 0.2 + 3 * depth,
        "t": 0.3 + 3 * depth,
        "tags": [f"depth={depth}"],
        "transaction_id": _transaction(ip, port, depth),
    }


def request(
    url: str = URL,
    ip: str = HERE,
    *,
    status: int = 200,
    body: Any = PAGE,
    failure: str | None = None,
    headers: Iterable[list[str]] = HEADERS,
    truncated: bool = False,
    depth: int = 0,
) -> Entry:
    """One exchange."""
    port = 443 if url.startswith("https") else 80
    answer: Entry = {"body": "", "body_is_truncated": False, "code": 0, "headers": {}}
    if failure is None:
        answer = {
            "body": body,
            "body_is_truncated": truncated,
            "code": status,
            "headers_list": [list(pair) for pair in headers],
            "headers": dict(headers),
        }
    return {
        "network": "tcp",
        "address": _endpoint(ip, port),
        "alpn": "h2",
        "failure": failure,
        "request": {"method": "GET", "url": url, "headers": {}, "headers_list": [], "body": ""},
        "response": answer,
        "t0": 0.4 + 3 * depth,
        "t": 0.9 + 3 * depth,
        "tags": [f"depth={depth}", "fetch_body=true"],
        "transaction_id": _transaction(ip, port, depth),
    }


def helper(
    addresses: Iterable[str] = (HERE,),
    *,
    tcp: Mapping[str, str | None] | None = None,
    tls: Mapping[str, str | None] | None = None,
    dns_failure: str | None = None,
    http_failure: str | None = None,
    status: int = 200,
    title: str = "The news of the day",
    length: int = len(PAGE),
    systems: Mapping[str, int] | None = None,
    name: str = SITE,
) -> Entry:
    """What the test helper saw: endpoints with their failures, by default all that it resolved."""
    every = list(addresses)
    if tcp is None:
        tcp = {f"{_endpoint(one, port)}": None for one in every for port in (80, 443)}
    if tls is None:
        tls = {endpoint: failure for endpoint, failure in tcp.items() if endpoint.endswith(":443")}
    known = dict.fromkeys(every, 15133) if systems is None else systems
    failed = http_failure is not None
    return {
        "tcp_connect": {
            endpoint: {"status": failure is None, "failure": failure}
            for endpoint, failure in tcp.items()
        },
        "tls_handshake": {
            endpoint: {"server_name": name, "status": failure is None, "failure": failure}
            for endpoint, failure in tls.items()
        },
        "quic_handshake": {},
        "http_request": {
            "body_length": -1 if failed else length,
            "discovered_h3_endpoint": "",
            "failure": http_failure,
            "title": "" if failed else title,
            "headers": {} if failed else {"Content-Type": "text/html", "Server": "nginx"},
            "status_code": -1 if failed else status,
        },
        "http3_request": None,
        "dns": {"failure": dns_failure, "addrs": every},
        "ip_info": {one: {"asn": asn, "flags": 10} for one, asn in known.items()},
    }


def measurement(
    url: str = URL,
    *,
    queries: Iterable[Entry] | None = None,
    tcp: Iterable[Entry] = (),
    tls: Iterable[Entry] = (),
    requests: Iterable[Entry] = (),
    control: Entry | None = None,
    control_failure: str | None = None,
    said: tuple[bool | None, Any] = (None, None),
    resolver_asn: str = "AS9198",
    **more: Any,
) -> Entry:
    """A measurement of web_connectivity 0.5; `requests` are given the oldest first."""
    if control is None and control_failure is None:
        control_failure = "generic_timeout_error"
    keys: Entry = {
        "queries": [query()] if queries is None else list(queries),
        "tcp_connect": list(tcp),
        "tls_handshakes": list(tls),
        "requests": list(requests)[::-1],
        "network_events": None,
        "control": control,
        "control_failure": control_failure,
        "x_dns_duplicate_responses": None,
        "accessible": said[0],
        "blocking": said[1],
    }
    return {
        "annotations": {"platform": "linux"},
        "data_format_version": "0.2.0",
        "input": url,
        "measurement_start_time": "2024-02-12 20:33:47",
        "probe_asn": "AS9198",
        "probe_cc": "KZ",
        "probe_ip": "127.0.0.1",
        "probe_network_name": "JSC Kazakhtelecom",
        "report_id": "20240212T203340Z_webconnectivity_KZ_9198_n1_aaaaaaaaaaaaaaaa",
        "resolver_asn": resolver_asn,
        "resolver_ip": "[scrubbed]",
        "software_name": "ooniprobe-cli",
        "software_version": "3.20.1",
        "test_helpers": {"backend": {"address": "https://helper.example", "type": "https"}},
        "test_keys": keys,
        "test_name": "web_connectivity",
        "test_runtime": 3.5,
        "test_start_time": "2024-02-12 20:33:40",
        "test_version": "0.5.28",
        "measurement_uid": "20240212203351.123456_KZ_webconnectivity_0123456789abcdef",
        **more,
    }


def older(made: Entry, version: str = "0.4.3") -> Entry:
    """The same without tags, transactions and times, as probes before 0.5 wrote it."""
    keys = made["test_keys"]
    for name in ("queries", "tcp_connect", "tls_handshakes", "requests"):
        for entry in keys[name] or ():
            for absent in ("tags", "transaction_id", "t0"):
                entry.pop(absent, None)
    return {**made, "test_version": version}


def _endpoint(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _transaction(ip: str, port: int, depth: int) -> int:
    return 40_000 + crc32(f"{ip} {port} {depth}".encode()) % 9999 + 1
