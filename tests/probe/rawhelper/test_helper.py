"""The helper process: JSON lines, no privileges, only the named destinations."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from probe.rawhelper import capture

pytest.importorskip("scapy")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
HERE = "127.0.0.9"  # an address without other traffic


def may_capture() -> bool:
    try:
        capture.open_for([HERE]).close()
    except OSError:
        return False
    return True


privileged = pytest.mark.skipif(not may_capture(), reason="no CAP_NET_RAW here")


class Helper:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "probe.rawhelper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, **order: object) -> dict[str, object]:
        stdin, stdout = self.pipes()
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        reply: dict[str, object] = json.loads(stdout.readline())
        return reply

    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in self.pipes():
            pipe.close()


@pytest.fixture
def helper() -> Iterator[Helper]:
    made = Helper()
    yield made
    made.end()


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_without_destinations_it_refuses(helper: Helper) -> None:
    assert helper.ask(op="begin", destinations=[], seconds=5) == {
        "refused": "no destinations were named"
    }
    assert helper.process.wait(5) == 0


@privileged
def test_it_keeps_no_privilege(helper: Helper) -> None:
    assert helper.ask(op="begin", destinations=[HERE], seconds=20) == {}
    fields = status(helper.process.pid)
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
        assert int(fields[kind], 16) == 0, kind
    assert fields["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert fields["Uid"].split()[1] == "65534"


@privileged
def test_it_captures_one_flow_and_refuses_others(helper: Helper) -> None:
    assert helper.ask(op="begin", destinations=[HERE], seconds=20) == {}
    with socket.create_server((HERE, 0)) as server:
        where = server.getsockname()
        with socket.create_connection(where) as near:
            far, _ = server.accept()
            with far:
                near.sendall(b"question")
                far.recv(100)
                far.sendall(b"an answer of some length")
                near.recv(100)
                port = near.getsockname()[1]
                packets = helper.ask(op="packets", address=HERE, port=port)["packets"]
    assert isinstance(packets, list)
    first = packets[0]
    assert (first["by"], first["flags"], first["acked"]) == ("peer", "SA", 0)
    assert abs(first["at"] - time.monotonic()) < 5
    assert any(packet["size"] == 24 and packet["acked"] == 8 for packet in packets)
    other = helper.ask(op="packets", address="127.0.0.1", port=port)
    assert other == {"refused": "that destination was not named at the start"}
    shown = base64.b64decode(str(helper.ask(op="capture", known=[])["pcap"]))
    assert shown[:4] in {b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4"}
    assert b"question" in shown
    assert socket.inet_aton("127.0.0.1") not in shown
    assert helper.ask(op="send") == {"refused": "no such order"}


@privileged
def test_it_captures_no_other_traffic(helper: Helper) -> None:
    assert helper.ask(op="begin", destinations=["127.0.0.8"], seconds=20) == {}
    with socket.create_server((HERE, 0)) as server, socket.create_connection(server.getsockname()):
        pass
    shown = base64.b64decode(str(helper.ask(op="capture", known=[])["pcap"]))
    assert len(shown) == 24  # the file's header alone


@privileged
def test_it_ends_by_itself_and_with_its_parent(helper: Helper) -> None:
    assert helper.ask(op="begin", destinations=[HERE], seconds=0.2) == {}
    assert helper.process.wait(5) == 0
    other = Helper()
    assert other.ask(op="begin", destinations=[HERE], seconds=60) == {}
    other.pipes()[0].close()
    assert other.process.wait(5) == 0
    other.end()


@pytest.mark.parametrize("invalid", [b"\n", b"[]\n", b"not json\n", b"x" * 70000 + b"\n"])
def test_an_invalid_request_ends_it(helper: Helper, invalid: bytes) -> None:
    stdin, stdout = helper.pipes()
    stdin.write(invalid)
    stdin.flush()
    stdin.close()
    assert stdout.read() == b""
    assert helper.process.wait(5) == 0
