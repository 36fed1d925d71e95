"""From arguments and lists to jobs; lists are downloaded over https only."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe import targets
from probe.client import list_download
from probe.config import Options, Settings
from probe.errors import UserError
from probe.runner.jobs import job_list, updated_list

LIST = "url,category_code\nhttps://a.example/,NEWS\nnonsense,NEWS\nhttps://b.example/,HUMR\n"


class Lists(http.server.BaseHTTPRequestHandler):
    """Answers with a list, a redirect, or a body above the limit."""

    def do_GET(self) -> None:
        status, body = {
            "/list.csv": (200, LIST.encode()),
            "/list.csv?v=2": (200, b"https://two.example/\n"),
            "/moved": (302, b""),
            "/huge": (200, b"x" * 70_000),
        }.get(self.path, (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/list.csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lists) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def urls(*arguments: str, settings: Settings | None = None, state: Path | None = None) -> list[str]:
    warnings: list[str] = []
    found = job_list(
        arguments, settings or Settings(), state or Path("/nonexistent"), warn=warnings.append
    )
    return [job.url for job in found.jobs]


def test_arguments_replace_the_default_list() -> None:
    assert urls("https://X.example", "https://x.example/") == ["https://x.example/"]


def test_without_arguments_the_kazakh_list_is_measured() -> None:
    assert len(urls()) > 100


def test_a_row_of_a_list_keeps_its_category(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    warnings: list[str] = []
    found = job_list(
        ("https://b.example/",),
        Settings(targets=(str(file),)),
        tmp_path,
        warn=warnings.append,
    )
    assert {job.url: job.category for job in found.jobs}["https://a.example/"] == "NEWS"
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{file}:3: ")


def test_every_experiment_has_its_own_job() -> None:
    from probe.experiments import load

    other = next(name for name in load() if name != "web")
    found = job_list(
        ("https://a.example/",),
        Settings(experiments=("web", other, "web")),
        Path("/nonexistent"),
        warn=print,
    )
    assert [job.experiment for job in found.jobs] == ["web", other]


def test_an_updated_list_replaces_the_bundled_one(tmp_path: Path) -> None:
    kept = updated_list(tmp_path, "kz")
    kept.parent.mkdir()
    kept.write_text("https://only.example/\n")
    assert urls(state=tmp_path) == ["https://only.example/"]


def test_a_list_is_downloaded(server: str) -> None:
    settings = Settings(targets=(f"{server}/list.csv",))
    assert urls(settings=settings) == ["https://a.example/", "https://b.example/"]
    assert urls(settings=Settings(targets=(f"{server}/list.csv?v=2",))) == ["https://two.example/"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/absent", "HTTP status 404"), ("/moved", "HTTP status 302"), ("/huge", "not a target list")],
)
def test_an_unusable_download_is_one_line(
    server: str, path: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_download, "LIMIT", 65536)
    with pytest.raises(UserError, match=expected):
        urls(settings=Settings(targets=(server + path,)))


def test_an_unreachable_server_is_one_line() -> None:
    with pytest.raises(UserError, match="cannot be fetched"):
        urls(settings=Settings(targets=("http://127.0.0.1:9/list",)))


def test_a_list_does_not_come_over_plain_http() -> None:
    with pytest.raises(UserError, match="plain http"):
        urls(settings=Settings(targets=("http://lists.example/kz.csv",)))


def test_a_dry_run_fetches_nothing() -> None:
    found = job_list(
        (),
        Settings(targets=("https://127.0.0.1:9/list", "global")),
        Path("/nonexistent"),
        warn=print,
        touch_network=False,
    )
    assert found.unfetched == ("https://127.0.0.1:9/list",)
    assert len(found.jobs) > 10


def test_mitm_without_targets_measures_only_its_candidates() -> None:
    candidates = {target.url for target in targets.candidates("mitm-candidate")}
    settings = Settings(experiments=("web", "mitm"))
    jobs = job_list((), settings, Path("/nonexistent"), warn=print).jobs
    assert {job.url for job in jobs if job.experiment == "mitm"} == candidates
    assert {job.url for job in jobs if job.experiment == "web"} > candidates
    asked = job_list(("https://x.example/",), settings, Path("/nonexistent"), warn=print).jobs
    assert {(job.experiment, job.url) for job in asked} == {
        ("web", "https://x.example/"),
        ("mitm", "https://x.example/"),
    }


def test_a_list_without_purposes_leaves_the_bundled_candidates(
    tmp_path: Path,
) -> None:
    kept = updated_list(tmp_path, "kz")
    kept.parent.mkdir()
    kept.write_text("url,category_code\nhttps://a.example/,NEWS\n")
    jobs = job_list((), Settings(experiments=("mitm",)), tmp_path, warn=print).jobs
    assert {job.url for job in jobs} == {t.url for t in targets.candidates("mitm-candidate")}


def test_a_service_is_measured_once_and_needs_no_url() -> None:
    settings = Settings(experiments=("telegram", "web"))
    found = job_list(("https://a.example/",), settings, Path("/nonexistent"), warn=print)
    assert [(job.experiment, job.url) for job in found.jobs] == [
        ("telegram", "service:telegram"),
        ("web", "https://a.example/"),
    ]
    assert found.jobs[0].host == "service:telegram"


def test_a_service_without_its_options_is_an_error() -> None:
    wrong: tuple[Options, ...] = ({}, {"openvpn": {"endpoints": ["nonsense"]}})
    for options in wrong:
        settings = Settings(experiments=("openvpn",), options=options)
        with pytest.raises(UserError, match=r"options\.openvpn"):
            job_list(("https://a.example/",), settings, Path("/nonexistent"), warn=print)


def test_a_service_is_never_measured_unless_it_is_named() -> None:
    assert not any(url.startswith("service:") for url in urls("https://a.example/"))
