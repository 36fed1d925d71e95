"""`qazprobe speed`: its checks, a server with and without a trusted certificate, its output."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from click.testing import CliRunner, Result

from collector.throughput.identity import BulkIdentity, make_identity, read_identity
from collector.throughput.server import BulkServer, start_bulk
from probe import codec, consent_record, paths
from probe.commands.speed import command
from probe.errors import Exit, UserError
from probe.lab import pki
from probe.model import Outcome, Tls, Transfer
from probe.runner.daily_quota import DAILY_BYTES
from probe.runner.options import open_quota

ROOT = pki.root("CN=speed test root", now=datetime.now(UTC))


def trusted(names: tuple[str, ...]) -> BulkIdentity:
    served = pki.leaf(ROOT, names, now=datetime.now(UTC))
    return read_identity(served.key + served.chain)


class Running:
    """A bulk server in a thread."""

    def __init__(self, identity: BulkIdentity) -> None:
        self.pin = identity.spki_sha256
        self.port = 0
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._server: BulkServer | None = None

        async def begin() -> None:
            self._server = await start_bulk("127.0.0.1", 0, identity=identity)
            self.port = self._server.port
            started.set()

        def work() -> None:
            self._loop.create_task(begin())
            self._loop.run_forever()

        self._thread = threading.Thread(target=work)
        self._thread.start()
        assert started.wait(30)

    def close(self) -> None:
        assert self._server is not None
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture
def resolver() -> Iterator[str]:
    """A resolver that knows every name at 127.0.0.1, and no IPv6."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            data, asker = sock.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            (question,) = query.question
            answer = dns.message.make_response(query)
            if question.rdtype == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "127.0.0.1"))
            sock.sendto(answer.to_wire(), asker)

    thread = threading.Thread(target=serve)
    thread.start()
    host, port = sock.getsockname()
    yield f"{host}:{port}"
    sock.sendto(b"", (host, port))
    thread.join(30)
    sock.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    consent_record.record(folder, "en", heartbeat=False)
    monkeypatch.setenv("QAZPROBE_HOME", str(folder))
    return folder


@pytest.fixture
def own() -> Iterator[Running]:
    running = Running(make_identity())
    yield running
    running.close()


def speed(*words: str) -> Result:
    return CliRunner().invoke(command, words, standalone_mode=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--server", "http://speed.example/"], "expected ndt7://"),
        (["--server", "ndt7://speed.example", "-o", "-", "--json"], "choose one"),
        (["--server", "ndt7://127.0.0.1:1"], "no public address"),
        (["--server", "ndt7://192.168.1.1"], "no public address"),
        (["--server", "ndt7://speed.example", "--ca-file", "/nowhere"], "--lab"),
        (["--server", "ndt7://locate.measurementlab.net"], "publishes them for everybody"),
        (["--server", "ndt7://a.mlab-oti.measurement-lab.org./?access_token=x"], "--accept-risk"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_sent(
    words: list[str], said: str, home: Path
) -> None:
    result = speed(*words)
    assert isinstance(result.exception, UserError), result.exception
    assert said in str(result.exception)
    assert result.exception.code == Exit.USAGE


def test_the_consent_for_measurement_lab_is_one_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = consent_record.read(home)
    assert given is not None
    consent_record.accept_risks(home, given, ("trace", "tor", "helper"))
    result = speed("--server", "ndt7://ndt.measurementlab.net")
    assert "--accept-risk" in str(result.exception)
    monkeypatch.setenv("QAZPROBE_ACCEPT_RISK", "mlab")
    monkeypatch.setenv("QAZPROBE_RESOLVER", "127.0.0.1:9")
    result = speed("--server", "ndt7://ndt.measurementlab.net")
    assert "no address was found" in str(result.exception)


def test_a_server_is_measured_by_its_key(home: Path, own: Running, tmp_path: Path) -> None:
    file = tmp_path / "speed.jsonl"
    url = f"ndt7://127.0.0.1:{own.port}#pin={own.pin}"
    result = speed("--server", url, "--lab", "--max-bytes", "1000000", "-o", str(file))
    assert result.exception is None, result.exception
    assert "Download: " in result.output
    assert "Upload: " in result.output
    record = codec.decode(file.read_bytes().strip())
    assert (record.experiment, record.input) == ("speed", "")
    assert record.verdict is not None
    assert record.verdict.outcome is Outcome.OK
    moved = [step for step in record.steps if isinstance(step, Transfer)]
    assert [(s.protocol, s.direction, s.arm) for s in moved] == [
        ("ndt7", "down", "L"),
        ("ndt7", "up", "L"),
    ]
    spent = DAILY_BYTES - open_quota(home, {}).left
    assert 2_000_000 < spent < 2_300_000


def test_an_untrusted_certificate_ends_it_before_a_byte_is_measured(
    home: Path, own: Running
) -> None:
    result = speed("--server", f"ndt7://127.0.0.1:{own.port}", "--lab")
    assert result.exception is None
    assert "self-signed" in result.output
    assert own.pin in result.output


def test_a_wrong_key_gives_no_number(home: Path, own: Running) -> None:
    url = f"ndt7://127.0.0.1:{own.port}#pin={'0' * 64}"
    result = speed("--server", url, "--lab", "--json")
    said = json.loads(result.output)
    assert said["outcome"] == "inconclusive"
    assert said["down"]["bits_per_second"] is None


def test_a_trusted_certificate_needs_no_key(home: Path, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ROOT.pem)
    running = Running(trusted(("127.0.0.1",)))
    try:
        url = f"ndt7://127.0.0.1:{running.port}"
        words = ["--server", url, "--lab", "--ca-file", str(roots), "--max-bytes", "500000"]
        result = speed(*words, "-o", str(tmp_path / "speed.jsonl"))
    finally:
        running.close()
    assert result.exception is None, result.exception
    record = codec.decode((tmp_path / "speed.jsonl").read_bytes().strip())
    (handshake,) = (step for step in record.steps if isinstance(step, Tls))
    assert handshake.trust is not None
    assert handshake.trust.valid
    assert sum(isinstance(step, Transfer) for step in record.steps) == 2


def test_a_server_is_found_and_verified_by_its_name(
    home: Path, resolver: str, tmp_path: Path
) -> None:
    (tmp_path / "roots.pem").write_bytes(ROOT.pem)
    running = Running(trusted(("speed.example",)))
    try:
        words = ["--server", f"ndt7://speed.example:{running.port}", "--resolver", resolver]
        words += ["--lab", "--ca-file", str(tmp_path / "roots.pem"), "--max-bytes", "200000"]
        result = speed(*words, "-o", str(tmp_path / "speed.jsonl"))
    finally:
        running.close()
    assert result.exception is None, result.exception
    record = codec.decode((tmp_path / "speed.jsonl").read_bytes().strip())
    moved = [step for step in record.steps if isinstance(step, Transfer)]
    assert [step.failure for step in moved] == [None, None]
    assert {step.sni for step in moved} == {"speed.example"}


def test_another_servers_certificate_is_not_enough(home: Path, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ROOT.pem)
    running = Running(trusted(("other.example",)))
    try:
        url = f"ndt7://127.0.0.1:{running.port}"
        result = speed("--server", url, "--lab", "--ca-file", str(roots))
    finally:
        running.close()
    assert "not trusted" in result.output


def test_it_is_no_measurement_beside_a_run(home: Path, own: Running) -> None:
    lock = paths.run_lock(home)
    assert lock.acquire()
    try:
        url = f"ndt7://127.0.0.1:{own.port}#pin={own.pin}"
        result = speed("--server", url, "--lab")
    finally:
        lock.release()
    assert isinstance(result.exception, UserError)
    assert result.exception.code == Exit.LOCKED


def test_a_spent_quota_is_said_and_nothing_is_shortened(home: Path, own: Running) -> None:
    url = f"ndt7://127.0.0.1:{own.port}#pin={own.pin}"
    result = speed("--server", url, "--lab", "--max-bytes", str(DAILY_BYTES))
    assert result.output.count("quota was used up") == 2
    assert open_quota(home, {}).usage.spent == 0
