"""Lists refresh themselves: by ETag, once a day, quickly, and only to a valid list."""

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe.client import kept_lists
from probe.client.kept_lists import ListOrigin, kept, url_of
from probe.config import Settings
from probe.errors import UserError
from probe.runner import list_refresh
from probe.runner.jobs import job_list
from probe.runner.list_refresh import prepare, refresh

OLD, NEW = "https://old.example/\n", "https://new.example/\n"


@dataclass
class Lists:
    """A server of lists, in place of Citizen Lab's, of a collector and of any other."""

    bodies: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@pytest.fixture
def lists() -> Iterator[Lists]:
    serving = Lists()
    serving.answering.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("If-None-Match")
            serving.asked.append((self.path, known))
            serving.answering.wait(30)
            body = serving.bodies.get(self.path)
            etag = f'"{hash(body)}"'
            status = 404 if body is None else 304 if known == etag else 200
            data = (body or "").encode() if status == 200 else b""
            self.send_response(status)
            self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        serving.url = f"http://127.0.0.1:{listening.server_port}"
        yield serving
        serving.answering.set()
        listening.shutdown()
        thread.join()


def targets_of(settings: Settings, state: Path) -> list[str]:
    """What a run with these settings measures, after it prepared its lists."""
    notes: list[str] = []
    prepare(settings.targets or ("kz",), settings, state, note=notes.append)
    web = replace(settings, experiments=("web",))
    return [job.url for job in job_list((), web, state, warn=notes.append).jobs]


def make_due(state: Path, spec: str) -> None:
    here = kept(state, spec)
    known = here.origin
    here.note(ListOrigin(source=known.source, etag=known.etag, checked=0.0))


@pytest.mark.parametrize("kind", ["url", "citizenlab", "collector"])
def test_a_list_is_asked_for_once_a_day_and_by_its_etag(
    lists: Lists, tmp_path: Path, kind: str
) -> None:
    path, settings = {
        "url": ("/my.csv", Settings(targets=(f"{lists.url}/my.csv",))),
        "citizenlab": ("/kz.csv", Settings(targets=("citizenlab:kz",), list_mirror=lists.url)),
        "collector": ("/v1/targets?name=kz", Settings(collector=(lists.url,))),
    }[kind]
    lists.bodies[path] = OLD
    for _ in range(3):
        assert targets_of(settings, tmp_path) == ["https://old.example/"]
    assert lists.asked == [(path, None)]
    spec = settings.targets[0] if settings.targets else "kz"
    make_due(tmp_path, spec)
    assert targets_of(settings, tmp_path) == ["https://old.example/"]
    assert len(lists.asked) == 2
    assert lists.asked[-1][1] is not None
    lists.bodies[path] = NEW
    make_due(tmp_path, spec)
    assert targets_of(settings, tmp_path) == ["https://new.example/"]


@pytest.mark.parametrize(
    "body", [None, "", "nonsense", "<html>", "http://192.168.1.1/\n", "\0\0\0", "[[target]]"]
)
def test_a_refresh_that_fails_keeps_the_old_list_silently_and_waits(
    lists: Lists, tmp_path: Path, body: str | None
) -> None:
    settings = Settings(targets=(f"{lists.url}/my.csv",))
    lists.bodies["/my.csv"] = OLD
    targets_of(settings, tmp_path)
    if body is None:
        del lists.bodies["/my.csv"]
    else:
        lists.bodies["/my.csv"] = body
    make_due(tmp_path, settings.targets[0])
    notes: list[str] = []
    prepare(settings.targets, settings, tmp_path, note=notes.append)
    assert notes == []
    assert targets_of(settings, tmp_path) == ["https://old.example/"]
    assert len(lists.asked) == 2


def test_a_list_that_is_not_here_and_cannot_be_fetched_is_an_error(
    lists: Lists, tmp_path: Path
) -> None:
    settings = Settings(targets=("citizenlab:kz",), list_mirror=lists.url)
    with pytest.raises(UserError, match="HTTP status 404"):
        targets_of(settings, tmp_path)


def test_a_slow_server_does_not_hold_up_a_run(
    lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_refresh, "_QUICK", 0.3)
    lists.answering.clear()
    settings = Settings(collector=(lists.url,), targets=("kz", "global"))
    started = time.monotonic()
    prepare(settings.targets, settings, tmp_path, note=print)
    assert time.monotonic() - started < 10.0  # the server answers after 30


def test_the_etag_of_another_source_is_not_used(lists: Lists, tmp_path: Path) -> None:
    lists.bodies = {"/kz.csv": OLD, "/mirror/kz.csv": NEW}
    for mirror in (lists.url, f"{lists.url}/mirror/"):
        settings = Settings(targets=("citizenlab:kz",), list_mirror=mirror)
        refresh("citizenlab:kz", settings, tmp_path)
    assert lists.asked == [("/kz.csv", None), ("/mirror/kz.csv", None)]


def test_a_list_obeys_the_choice_of_categories_and_has_no_private_hosts(
    lists: Lists, tmp_path: Path
) -> None:
    lists.bodies["/v1/targets?name=kz"] = (
        "url,category_code\nhttps://a.example/,NEWS\nhttps://b.example/,PORN\n"
        "http://10.0.0.1/,NEWS\nhttp://router.lan/,NEWS\n"
    )
    assert targets_of(Settings(collector=(lists.url,)), tmp_path) == ["https://a.example/"]


def test_a_long_list_is_cut(lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.runner.target_lists.DOWNLOAD_ROWS", 10)
    lists.bodies["/my.csv"] = "".join(f"https://a{n}.example/\n" for n in range(100))
    assert len(targets_of(Settings(targets=(f"{lists.url}/my.csv",)), tmp_path)) == 10


def test_a_control_measures_what_its_operator_listed(lists: Lists, tmp_path: Path) -> None:
    lists.bodies["/v1/targets?name=kz"] = NEW
    targets_of(Settings(collector=(lists.url,), role="control"), tmp_path)
    assert lists.asked == []


def test_a_list_comes_over_proven_tls_only(tmp_path: Path) -> None:
    for settings in (
        Settings(targets=("http://lists.example/kz.csv",)),
        Settings(targets=("citizenlab:kz",), list_mirror="http://mirror.example/"),
    ):
        with pytest.raises(UserError, match="plain http"):
            prepare(settings.targets, settings, tmp_path, note=print)


def test_a_state_folder_that_cannot_be_written_costs_only_the_copy(lists: Lists) -> None:
    lists.bodies["/my.csv"] = OLD
    settings = Settings(targets=(f"{lists.url}/my.csv",))
    assert targets_of(settings, Path("/proc/nonexistent")) == ["https://old.example/"]


@pytest.mark.parametrize("code", ["kz", "global", "ru"])
def test_citizen_labs_lists_have_their_usual_place(code: str) -> None:
    place = f"{kept_lists.CITIZENLAB_FOLDER}/{code}.csv"
    assert url_of(f"citizenlab:{code}", None) == place
    assert place.startswith("https://raw.githubusercontent.com/citizenlab/test-lists/")


@pytest.mark.parametrize("spec", ["citizenlab:", "citizenlab:../x", "citizenlab:KZ", "kz", "a/b"])
def test_other_names_have_no_url(spec: str) -> None:
    assert url_of(spec, None) is None
