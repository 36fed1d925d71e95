"""Carry packets between two TUN devices with delay and loss: the line of `throttle_net`.

Usage: python -m bench.throttle_line ROUTER_PID SERVER_PID DELAY LOSS JITTER (seconds, one way)
"""

import contextlib
import fcntl
import os
import random
import select
import struct
import sys
from collections import deque
from time import monotonic

from bench.throttle_net import within

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
QUEUE = 20_000


def tun(pid: int, name: str) -> int:
    """A TUN device in the namespace of another process."""
    with within(pid):
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def carry(left: int, right: int, delay: float, loss: float, jitter: float) -> None:
    """Carry packets forever, in order: jitter delays later packets as well."""
    dice = random.Random(1)
    waiting: dict[int, deque[tuple[float, bytes]]] = {right: deque(), left: deque()}
    to = {left: right, right: left}
    while True:
        now = monotonic()
        due = [queue[0][0] for queue in waiting.values() if queue]
        ready, _, _ = select.select([left, right], [], [], max(0.0, min(due) - now) if due else 1.0)
        now = monotonic()
        for device in ready:
            queue = waiting[to[device]]
            for packet in _read(device):
                if len(queue) < QUEUE and dice.random() >= loss:
                    at = now + delay + (dice.random() * jitter if jitter else 0.0)
                    queue.append((max(at, queue[-1][0] if queue else 0.0), packet))
        now = monotonic()
        for device, queue in waiting.items():
            while queue and queue[0][0] <= now:
                _write(device, queue.popleft()[1])


def _read(device: int) -> list[bytes]:
    packets: list[bytes] = []
    try:
        while len(packets) < 64:
            packets.append(os.read(device, 2048))
    except OSError:
        pass  # no packet now, or the device is not up yet
    return packets


def _write(device: int, packet: bytes) -> None:
    with contextlib.suppress(OSError):  # the device is not up yet
        os.write(device, packet)


def main() -> None:
    router, server = int(sys.argv[1]), int(sys.argv[2])
    delay, loss, jitter = map(float, sys.argv[3:6])
    left, right = tun(router, "far"), tun(server, "near")
    print("ready", flush=True)
    carry(left, right, delay, loss, jitter)


if __name__ == "__main__":
    main()
