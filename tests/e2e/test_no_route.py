"""A network without a way out whose resolver answers: what the run says of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RESOLVER = """
import socket, sys
import dns.message, dns.rcode, dns.rrset
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("10.99.0.1", 53))
    print("ready", flush=True)
    while True:
        data, peer = server.recvfrom(4096)
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        name = query.question[0].name.to_text()
        if len(name) == 21 and name.endswith(".com."):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif query.question[0].rdtype == 1:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "93.184.216.34"))
        server.sendto(reply.to_wire(), peer)
"""
INSIDE = """
set -e
ip link set lo up
ip address add 10.99.0.1/24 dev lo
"$PYTHON" -c "$RESOLVER" > ready &
trap 'kill $!' EXIT
while ! [ -s ready ]; do sleep 0.1; done
"$PYTHON" -m probe.cli consent --yes > /dev/null
"$PYTHON" -m probe.cli run https://example.com/ -e web,connectivity --json --quiet \
    --resolver 10.99.0.1 --max-time 60 --control none
"""


def unavailable() -> str | None:
    """Why no network can be made here, or None."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare or ip is missing"
    argv = ["unshare", "--map-root-user", "--net", "true"]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    return made.stderr.strip() or "unshare failed" if made.returncode else None


@pytest.mark.skipif(unavailable() is not None, reason=f"no namespaces: {unavailable()}")
def test_a_resolver_that_answers_without_a_route_is_not_nothing(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("QAZPROBE_")},
        "QAZPROBE_HOME": str(tmp_path / "home"),
        "PYTHON": sys.executable,
        "PYTHONPATH": root,
        "RESOLVER": RESOLVER,
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", INSIDE],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = {
        one["experiment"]: one
        for one in map(json.loads, done.stdout.splitlines())
        if one.get("reason")
    }
    assert set(found) == {"web", "connectivity"}, done.stderr
    for one in found.values():
        assert one["outcome"] == "inconclusive"
        assert one["reason"] == (
            "The resolver answers, but this machine has no route beyond its own network."
        )
