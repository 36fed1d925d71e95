"""A collector takes the sockets that a service manager opened for it."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from collector.inherited_sockets import inherited
from tests.collector.test_serve import ROOT, START

# What a service manager does: descriptors from 3 on, and the number of the process it becomes.
LAUNCHER = """
import os, socket, sys
for number, port in enumerate(sys.argv[1].split(",")):
    one = socket.create_server(("127.0.0.1", int(port)))
    os.dup2(one.fileno(), 30 + number)
    print(one.getsockname()[1], flush=True)
count = number + 1
for number in range(count):
    os.dup2(30 + number, 3 + number)
    os.set_inheritable(3 + number, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count)}
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""


def test_it_serves_on_what_it_was_given_and_not_on_its_own_address(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    options = ("serve", "--listen", "192.0.2.1:1", "--store", store, "--admin-listen", "none")
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, "0,0", START, *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        ports = [int(process.stdout.readline()) for _ in range(2)]
        # Who connects before it is ready waits.
        for port in ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
                assert answer.status == 200
        assert f"ready on http://127.0.0.1:{ports[0]}," in process.stderr.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if children.exists():
            for child in children.read_text().split():
                environment = Path(f"/proc/{child}/environ").read_bytes()
                assert b"LISTEN_FDS" not in environment
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "many", "LISTEN_PID": "own"},
        {"LISTEN_FDS": "-1", "LISTEN_PID": "own"},
    ],
)
def test_what_was_meant_for_another_process_is_left_alone(given: dict[str, str]) -> None:
    environment = {name: str(os.getpid()) if v == "own" else v for name, v in given.items()}
    assert inherited(environment) == ()
    assert environment == {}


@pytest.mark.parametrize("kind", ["file", "datagram", "connection"])
def test_what_is_no_listening_socket_is_an_error(kind: str) -> None:
    code = (
        "import os, socket\n"
        "made = {'file': lambda: os.open('/dev/null', 0), 'datagram': lambda: socket.socket("
        "type=socket.SOCK_DGRAM).detach(), 'connection': lambda: socket.socket().detach()}\n"
        f"os.dup2(made['{kind}'](), 3)\n"
        "from collector.inherited_sockets import inherited\n"
        "from collector.settings import SettingsError\n"
        "try:\n"
        "    inherited({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'})\n"
        "except SettingsError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("descriptor 3: "), done.stderr
