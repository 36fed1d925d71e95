"""Publishing: nothing without its own yes, only to the address given, each record once."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from msgspec.structs import replace

from probe import codec, consent_record
from probe.admin import question
from probe.commands.results import command
from probe.errors import Exit, UserError
from probe.interop.ooni.kept import record_in
from probe.interop.ooni.publishing import FILE, PublishedList
from probe.model import Record
from probe.runner.results import Results
from tests.probe import sample

KEPT = (
    sample.trusted(),
    sample.blocked(),
    replace(sample.blocked("ee"), experiment="throttle"),
    replace(sample.blocked("ff"), lab=True),
    replace(sample.blocked("gg"), origin="ooni"),
)
UID = "20261121213905.123456_KZ_webconnectivity_0123456789abcdef"


class Receiver:
    """A collector of OONI's kind on loopback, in a thread; it answers with `replies` in turn."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.replies: list[tuple[int, bytes]] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/{rest:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append((request.path, await request.json()))
        accepted = json.dumps({"measurement_uid": UID, "verification_status": "unverified"})
        status, body = self.replies.pop(0) if self.replies else (200, accepted.encode())
        return web.Response(status=status, body=body, content_type="application/json")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    keep(tmp_path, *KEPT)
    consent_record.record(tmp_path, "en", heartbeat=False)
    return tmp_path


def keep(home: Path, *records: Record) -> None:
    for one in records:
        Results(home).keep(one, codec.encode(one))


def publish(receiver: Receiver, *arguments: str, agree: bool = True) -> Result:
    given = ("--accept-risk",) if agree else ()
    return CliRunner().invoke(
        command,
        ["publish", "--to", receiver.url, *given, *arguments],
        catch_exceptions=False,
        standalone_mode=False,
    )


def test_what_is_sent(home: Path, receiver: Receiver) -> None:
    done = publish(receiver)
    assert done.return_value is Exit.DONE
    paths, bodies = zip(*receiver.got, strict=True)
    assert set(paths) == {"/api/v1/submit_measurement"}
    first = dict(bodies[0])
    content = first.pop("content")
    assert first == {
        "format": "json",
        "nym": None,
        "zkp_request": None,
        "manifest_version": None,
        "protocol_version": None,
    }
    assert isinstance(content, str)
    sent = json.loads(content)
    assert "measurement_uid" not in sent
    assert sent["software_name"] == "qazprobe"
    assert record_in(content.encode()) == KEPT[0]
    assert "2 measurements to publish" in done.stdout
    assert "published: 2" in done.stdout
    assert done.stderr.splitlines() == [
        "left out: 1 (throttle: OONI has no experiment of this meaning)",
        "left out: 1 (made in a laboratory)",
        "left out: 1 (imported from OONI, which has it)",
    ]


def test_nothing_without_the_ordinary_consent(home: Path, receiver: Receiver) -> None:
    consent_record.withdraw(home)
    with pytest.raises(UserError):
        publish(receiver)
    assert receiver.got == []


def test_nothing_without_a_yes_of_its_own(home: Path, receiver: Receiver) -> None:
    with pytest.raises(UserError, match="public for good"):
        publish(receiver, agree=False)
    assert receiver.got == []


@pytest.mark.parametrize(("reply", "sent"), [("y\n", 2), ("n\n", 0)])
def test_a_person_is_asked_once_for_each_address(
    home: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, reply: str, sent: int
) -> None:
    monkeypatch.setattr(question, "on_terminal", lambda: True)
    options = ["publish", "--to", receiver.url]
    CliRunner().invoke(command, options, input=reply, standalone_mode=False)
    assert len(receiver.got) == sent
    monkeypatch.setattr(question, "on_terminal", lambda: False)
    again = CliRunner().invoke(command, options, standalone_mode=False)
    assert isinstance(again.exception, UserError) == (sent == 0)
    elsewhere = CliRunner().invoke(
        command, ["publish", "--to", "http://127.0.0.2:1"], standalone_mode=False
    )
    assert isinstance(elsewhere.exception, UserError)


def test_nothing_is_published_twice(home: Path, receiver: Receiver) -> None:
    publish(receiver)
    keep(home, sample.blocked("hh"))
    again = publish(receiver)
    assert "left out: 2 (published before)" in again.stderr
    assert len(receiver.got) == 3
    assert len(PublishedList(home, receiver.url).ids()) == 3
    assert PublishedList(home, "https://elsewhere.example").ids() == set()


def test_a_note_that_was_cut_off_is_passed_over(home: Path) -> None:
    (home / FILE).write_bytes(b'{"to": "a", "id": "1"}\n{"to": "a", "i')
    assert PublishedList(home, "a").ids() == {"1"}
    PublishedList(home, "a").note(KEPT[0], UID)
    assert PublishedList(home, "a").ids() == {"1", KEPT[0].id}


def test_a_record_in_two_files_is_sent_once(home: Path, receiver: Receiver) -> None:
    both = [home / "one.jsonl", home / "two.jsonl"]
    for file in both:
        file.write_bytes(codec.encode(KEPT[0]) + b"\n")
    done = publish(receiver, "--file", str(both[0]), "--file", str(both[1]))
    assert len(receiver.got) == 1
    assert done.return_value is Exit.DONE
    assert "published: 1" in done.stdout


def test_a_control_publishes_nothing_without_a_yes_either(home: Path, receiver: Receiver) -> None:
    consent_record.withdraw(home)
    file = home / "control.toml"
    file.write_text('role = "control"\n')
    with pytest.raises(UserError, match="public for good"):
        publish(receiver, "--config", str(file), agree=False)
    assert receiver.got == []
    assert publish(receiver, "--config", str(file)).return_value is Exit.DONE
    assert len(receiver.got) == 2


def test_only_what_is_chosen(home: Path, receiver: Receiver) -> None:
    publish(receiver, "--outcome", "ok")
    assert len(receiver.got) == 1


@pytest.mark.parametrize("reply", [(400, b"{}"), (200, b"{}"), (200, b"[")])
def test_one_that_is_refused_stays(
    home: Path, receiver: Receiver, reply: tuple[int, bytes]
) -> None:
    receiver.replies = [reply]
    done = publish(receiver)
    assert done.return_value is Exit.NOT_SENT
    assert "published: 1" in done.stdout
    assert receiver.url in done.stderr
    assert publish(receiver).return_value is Exit.DONE
    assert len(receiver.got) == 3


def test_a_receiver_that_is_busy_is_left_alone(home: Path, receiver: Receiver) -> None:
    receiver.replies = [(503, b"{}")]
    assert publish(receiver).return_value is Exit.NOT_SENT
    assert len(receiver.got) == 1


def test_several_refusals_in_a_row_end_it(home: Path, receiver: Receiver) -> None:
    keep(home, *(sample.blocked(name) for name in ("h1", "h2", "h3")))
    receiver.replies = [(400, b"{}")] * 9
    publish(receiver)
    assert len(receiver.got) == 3


@pytest.mark.parametrize("url", ["http://192.0.2.1", "ftp://x.example", "nonsense"])
def test_an_address_that_proves_nothing_is_refused(home: Path, url: str) -> None:
    with pytest.raises(UserError, match="--to"):
        CliRunner().invoke(
            command, ["publish", "--to", url, "--accept-risk"], catch_exceptions=False
        )


def test_there_is_no_address_by_default(home: Path) -> None:
    assert CliRunner().invoke(command, ["publish"]).exit_code == 2
