"""`python -m probe.rawhelper`: one JSON request per line on stdin, one answer per line on stdout.

{"op":"begin","destinations":["…"],"seconds":900}  → {} or {"refused":"why"}
{"op":"packets","address":"…","port":40000}        → {"packets":[…]} of that connection
{"op":"capture","known":["…"]}                     → {"pcap":"base64"}, scrubbed
"""

import io
import json
import selectors
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Mapping

from probe.rawhelper import capture, privilege

_MAX_SECONDS = 3600.0
_MAX_DESTINATIONS = 64
_MAX_REQUEST = 1 << 16


def begin(request: Mapping[str, object]) -> tuple[socket.socket | None, str | None]:
    """Open the capture socket and drop all privileges; return the socket, or why there is none."""
    destinations = request.get("destinations")
    if (
        request.get("op") != "begin"
        or not isinstance(destinations, list)
        or not 0 < len(destinations) <= _MAX_DESTINATIONS
    ):
        return None, "no destinations were named"
    try:
        sock = capture.open_for([str(one) for one in destinations])
    except PermissionError:
        return None, "no CAP_NET_RAW"
    except (OSError, ValueError) as error:
        return None, f"no socket ({type(error).__name__})"
    finally:
        privilege.drop()
    return sock, None


def serve(request: Mapping[str, object], log: capture.PacketLog) -> dict[str, object]:
    """Answer one request."""
    from probe.rawhelper import packets

    match request:
        case {"op": "packets", "address": str(address), "port": int(port)}:
            if address not in log.destinations:
                return {"refused": "that destination was not named at the start"}
            return {"packets": packets.flow(log.packets, address, port)}
        case {"op": "capture", "known": list(known)}:
            scrubbed = packets.capture(log, frozenset(map(str, known)))
            return {"pcap": b64encode(scrubbed).decode()}
    return {"refused": "no such order"}


def main() -> None:
    """Answer requests until the parent closes stdin or the time is up."""
    requests = io.FileIO(0, closefd=False)  # unbuffered, so that the selector sees pending lines
    request = _read(requests)
    if request is None:
        return
    # Before privileges are dropped: afterwards the files may be unreadable.
    from probe.rawhelper import packets  # noqa: F401 - imported for `serve`

    sock, refused = begin(request)
    _write({"refused": refused} if refused else {})
    if sock is None:
        return
    seconds = request.get("seconds")
    seconds_left = min(float(seconds) if isinstance(seconds, int | float) else 0.0, _MAX_SECONDS)
    destinations = request["destinations"]
    assert isinstance(destinations, list)  # noqa: S101 - checked by `begin`
    log = capture.PacketLog(frozenset(map(str, destinations)))
    _serve_until(requests, sock, log, time.monotonic() + seconds_left)


def _serve_until(
    requests: io.FileIO, sock: socket.socket, log: capture.PacketLog, end: float
) -> None:
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    selector.register(requests, selectors.EVENT_READ)
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            if key.fileobj is sock:
                log.read_from(sock)
                continue
            request = _read(requests)
            if request is None:
                return
            log.read_from(sock)
            _write(serve(request, log))


def _read(requests: io.FileIO) -> Mapping[str, object] | None:
    """The next request; None if stdin was closed or the line is invalid."""
    line = requests.readline(_MAX_REQUEST)
    try:
        request = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return request if isinstance(request, dict) else None


def _write(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
