"""`python -m probe.rawhelper`: orders as JSON lines on stdin, answers on stdout, one for one.

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

_LONGEST = 3600.0
_MOST = 64
_ORDER = 1 << 16


def begin(order: Mapping[str, object]) -> tuple[socket.socket | None, str | None]:
    """Open the one socket and give up everything else; or why not."""
    named = order.get("destinations")
    if order.get("op") != "begin" or not isinstance(named, list) or not 0 < len(named) <= _MOST:
        return None, "no destinations were named"
    try:
        opened = capture.open_for([str(one) for one in named])
    except PermissionError:
        return None, "no CAP_NET_RAW"
    except (OSError, ValueError) as error:
        return None, f"no socket ({type(error).__name__})"
    finally:
        privilege.drop()
    return opened, None


def serve(order: Mapping[str, object], heard: capture.Heard) -> dict[str, object]:
    """Answer one order."""
    from probe.rawhelper import packets

    match order:
        case {"op": "packets", "address": str(address), "port": int(port)}:
            if address not in heard.destinations:
                return {"refused": "that destination was not named at the start"}
            return {"packets": packets.flow(heard.kept, address, port)}
        case {"op": "capture", "known": list(known)}:
            scrubbed = packets.capture(heard, frozenset(map(str, known)))
            return {"pcap": b64encode(scrubbed).decode()}
    return {"refused": "no such order"}


def main() -> None:
    """Obey until the parent is gone or time is up."""
    orders = io.FileIO(0, closefd=False)  # unbuffered: what waits is seen by the selector
    order = _read(orders)
    if order is None:
        return
    from probe.rawhelper import packets  # before privileges go: files may be unreadable after

    packets.ready()
    opened, refused = begin(order)
    _write({"refused": refused} if refused else {})
    if opened is None:
        return
    seconds = order.get("seconds")
    limit = min(float(seconds) if isinstance(seconds, int | float) else 0.0, _LONGEST)
    named = order["destinations"]
    assert isinstance(named, list)  # noqa: S101 - `begin` looked
    _obey(orders, opened, capture.Heard(frozenset(map(str, named))), time.monotonic() + limit)


def _obey(orders: io.FileIO, opened: socket.socket, heard: capture.Heard, end: float) -> None:
    selector = selectors.DefaultSelector()
    selector.register(opened, selectors.EVENT_READ)
    selector.register(orders, selectors.EVENT_READ)
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            if key.fileobj is opened:
                heard.take(opened)
                continue
            order = _read(orders)
            if order is None:
                return
            heard.take(opened)
            _write(serve(order, heard))


def _read(orders: io.FileIO) -> Mapping[str, object] | None:
    """The next order; None when the parent has gone or writes nonsense."""
    line = orders.readline(_ORDER)
    try:
        order = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return order if isinstance(order, dict) else None


def _write(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
