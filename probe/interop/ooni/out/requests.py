"""HTTP exchanges in OONI's form (df-001): `requests`, the newest first."""

import base64
from typing import Any

from probe.interop.ooni import words
from probe.interop.ooni.out.chosen import ChosenSteps
from probe.interop.ooni.out.handshakes import handshake_failure
from probe.interop.ooni.out.queries import tags
from probe.model import Http, Tls

_NO_TOR = {"is_tor": False, "exit_ip": None, "exit_name": None}


def requests(chosen: ChosenSteps) -> list[dict[str, Any]]:
    """The exchanges; their readers look for a redirect in the entry that follows."""
    latest = sorted(chosen.exchanges, key=lambda one: (one[0].hop, one[0].at), reverse=True)
    return [_transaction(step, tls, chosen) for step, tls in latest]


def _transaction(step: Http, tls: Tls | None, chosen: ChosenSteps) -> dict[str, Any]:
    # OONI's client sends no request after a handshake that proves nothing; ours does, to see what
    # is answered, and this is not the page.
    unproven = handshake_failure(tls) if tls else None
    return {
        "network": "tcp",
        "address": words.endpoint(step.address, step.port),
        "alpn": (tls.alpn if tls else None) or "",
        "failure": words.to_ooni(unproven or step.failure, step.detail),
        "request": _request(step),
        "response": _response(step),
        "t0": step.at,
        "t": step.at + step.elapsed,
        "tags": tags(step.hop),
        "transaction_id": chosen.transaction(step),
    }


def _request(step: Http) -> dict[str, Any]:
    """Only what a record has: of the request's headers, the host."""
    return {
        "url": step.url,
        "method": step.method,
        "headers": {"Host": step.host},
        "headers_list": [["Host", step.host]],
        "body": "",
        "body_is_truncated": False,
        "tor": _NO_TOR,
        "x_transport": "tcp",
    }


def _response(step: Http) -> dict[str, Any]:
    named = {canonical(name): value for name, value in step.headers.items()}
    if step.location and "Location" not in named:
        named["Location"] = step.location
    body, kept = _body(step)
    return {
        "code": step.status or 0,
        "headers": named,
        "headers_list": [[name, value] for name, value in named.items()],
        "body": body,
        "body_is_truncated": step.received_bytes > kept,
    }


def _body(step: Http) -> tuple[str | dict[str, str], int]:
    """What was kept of the body, and its length: nothing of a page that TLS proved."""
    try:
        kept = base64.b64decode(step.body or "", validate=True)
    except ValueError:
        return "", 0
    try:
        return kept.decode(), len(kept)
    except UnicodeDecodeError:
        return {"format": "base64", "data": base64.b64encode(kept).decode()}, len(kept)


def canonical(name: str) -> str:
    """A header's name as OONI writes it: `Content-Type`."""
    return "-".join(part.capitalize() for part in name.split("-"))
