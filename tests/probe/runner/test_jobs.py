"""From arguments and lists to jobs; lists are downloaded over https only."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe import categories, targets
from probe.categories import CategoryChoice
from probe.client import list_download
from probe.client.kept_lists import kept
from probe.config import Options, Settings
from probe.errors import UserError
from probe.runner.jobs import JobList, job_list, remarks
from probe.runner.profile import share_options

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
        arguments,
        settings or Settings(experiments=("web",)),
        state or Path("/nonexistent"),
        warn=warnings.append,
    )
    return [job.url for job in found.jobs]


def test_arguments_replace_the_default_list() -> None:
    assert urls("https://X.example", "https://x.example/") == ["https://x.example/"]


def test_without_arguments_the_kazakh_list_is_measured() -> None:
    assert len(urls(settings=Settings(experiments=("web",), categories=("all",)))) > 100


def test_a_row_of_a_list_keeps_its_category(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    warnings: list[str] = []
    found = job_list(
        ("https://b.example/",),
        Settings(experiments=("web",), targets=(str(file),)),
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
    file = kept(tmp_path, "kz").path
    file.parent.mkdir()
    file.write_text("https://only.example/\n")
    assert urls(state=tmp_path) == ["https://only.example/"]


def test_a_list_is_downloaded(server: str) -> None:
    settings = Settings(experiments=("web",), targets=(f"{server}/list.csv",))
    assert urls(settings=settings) == ["https://a.example/", "https://b.example/"]
    assert urls(settings=Settings(experiments=("web",), targets=(f"{server}/list.csv?v=2",))) == [
        "https://two.example/"
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/absent", "HTTP status 404"), ("/moved", "HTTP status 302"), ("/huge", "not a target list")],
)
def test_an_unusable_download_is_one_line(
    server: str, path: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_download, "LIMIT", 65536)
    with pytest.raises(UserError, match=expected):
        urls(settings=Settings(experiments=("web",), targets=(server + path,)))


def test_an_unreachable_server_is_one_line() -> None:
    with pytest.raises(UserError, match="cannot be fetched"):
        urls(settings=Settings(experiments=("web",), targets=("http://127.0.0.1:9/list",)))


def test_a_list_does_not_come_over_plain_http() -> None:
    with pytest.raises(UserError, match="plain http"):
        urls(settings=Settings(experiments=("web",), targets=("http://lists.example/kz.csv",)))


def test_a_dry_run_fetches_nothing() -> None:
    found = job_list(
        (),
        Settings(experiments=("web",), targets=("https://127.0.0.1:9/list", "global")),
        Path("/nonexistent"),
        warn=print,
        touch_network=False,
    )
    assert found.unfetched == ("https://127.0.0.1:9/list",)
    assert len(found.jobs) > 10


def test_mitm_without_targets_measures_only_its_candidates() -> None:
    candidates = {target.url for target in targets.candidates("mitm-candidate")}
    settings = Settings(experiments=("web", "mitm"), categories=("all",))
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
    file = kept(tmp_path, "kz").path
    file.parent.mkdir()
    file.write_text("url,category_code\nhttps://a.example/,NEWS\n")
    settings = Settings(experiments=("mitm",), categories=("all",))
    jobs = job_list((), settings, tmp_path, warn=print).jobs
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


def jobs_of(settings: Settings, *arguments: str, state: Path | None = None) -> JobList:
    return job_list(arguments, settings, state or Path("/nonexistent"), warn=print)


@pytest.mark.parametrize("host", ["meduza.io", "MEDUZA.io/", "https://meduza.io"])
def test_a_bare_host_on_the_command_line_means_https(host: str) -> None:
    assert urls(host) == ["https://meduza.io/"]


@pytest.mark.parametrize(
    "url", ["http://192.168.1.1/", "http://[::1]/", "router.lan", "https://nas/"]
)
def test_a_private_host_on_the_command_line_is_an_error(url: str) -> None:
    with pytest.raises(UserError, match="public"):
        urls(url)
    assert len(urls(url, settings=Settings(experiments=("web",), lab=True))) == 1


def test_a_list_as_an_argument_is_an_error_that_names_the_option() -> None:
    with pytest.raises(UserError, match="--targets kz"):
        urls("kz")


def test_an_empty_experiment_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(UserError, match=r"no experiment ''; there are: .*web"):
        jobs_of(Settings(experiments=("",)))


def test_a_file_without_a_valid_row_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("not a url\n" * 500)
    warnings: list[str] = []
    settings = Settings(targets=(str(file),))
    with pytest.raises(
        UserError, match=r"nothing in it can be measured \(.*list.txt:1: "
    ) as raised:
        job_list((), settings, tmp_path, warn=warnings.append)
    assert "\n" not in str(raised.value)
    file.write_text("https://a.example/\n" + "not a url\n" * 500)
    job_list((), settings, tmp_path, warn=warnings.append)
    assert len(warnings) == 11
    assert "490 more" in warnings[-1]


def test_risky_categories_are_left_out_of_every_list_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        "url,category_code\nhttps://a.example/,NEWS\nhttps://b.example/,PORN\n"
        "https://c.example/,\nhttps://nordvpn.com/x,NEWS\n"
    )
    settings = Settings(experiments=("web",), targets=(str(file),))
    found = jobs_of(settings)
    assert [job.url for job in found.jobs] == ["https://a.example/", "https://c.example/"]
    assert found.left_out_line is not None
    assert "2 targets are left out by category (1 ANON, 1 PORN)" in found.left_out_line
    chosen = jobs_of(Settings(experiments=("web",), targets=(str(file),), categories=("+PORN",)))
    assert "https://b.example/" in {job.url for job in chosen.jobs}
    # A URL of the command line is measured as named.
    assert len(jobs_of(Settings(experiments=("web",)), "https://nordvpn.com/").jobs) == 1


def test_a_recorded_choice_holds_and_a_control_needs_none(tmp_path: Path) -> None:
    categories.record(tmp_path, CategoryChoice().changed(("-NEWS", "+ANON")))
    settings = Settings(experiments=("web",))
    found = {job.category for job in jobs_of(settings, state=tmp_path).jobs}
    assert "NEWS" not in found
    assert "ANON" in found
    control = Settings(experiments=("web",), role="control")
    every = {job.category for job in jobs_of(control, state=tmp_path).jobs}
    assert {"NEWS", "ANON", "LGBT"} <= every


def test_a_list_of_which_everything_is_left_out_is_an_error() -> None:
    assert len(urls(settings=Settings(experiments=("web",), targets=("vpn",)))) > 50
    settings = Settings(experiments=("web",), targets=("vpn",), categories=("-ANON",))
    with pytest.raises(UserError, match=r"55 targets are left out .*55 ANON"):
        jobs_of(settings)


def experiments_of(found: JobList) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for job in found.jobs:
        named.setdefault(job.experiment, []).append(job.url)
    return named


def test_a_run_without_options_answers_the_four_questions() -> None:
    found = experiments_of(jobs_of(Settings(categories=("all",))))
    assert set(found) == {"web", "mitm", "throttle", "connectivity"}
    assert len(found["web"]) == 119
    assert set(found["mitm"]) == {one.url for one in targets.candidates("mitm-candidate")}
    assert set(found["throttle"]) == {one.url for one in targets.candidates("throttle-candidate")}
    assert found["connectivity"] == [""]


def test_quick_takes_a_choice_that_changes_and_says_how_many() -> None:
    first, second = (jobs_of(Settings(profile="quick", seed=seed)) for seed in (1, 2))
    assert first == jobs_of(Settings(profile="quick", seed=1))
    found = experiments_of(first)
    assert len(found["web"]) == 24
    assert set(found["mitm"]) | set(found["throttle"]) <= set(found["web"])
    assert found["web"] != experiments_of(second)["web"]
    assert first.profile_line is not None
    assert first.profile_line.startswith("profile quick: 24 of 96 sites by web, ")
    anchors = {one.url for one in targets.bundled("kz")[0] if one.purpose.startswith("control")}
    assert not anchors & set(found["web"])


def test_watch_takes_the_same_canaries_each_time(tmp_path: Path) -> None:
    settings = Settings(profile="watch")
    first = jobs_of(settings, state=tmp_path)
    assert first.jobs == jobs_of(settings, state=tmp_path).jobs
    found = experiments_of(first)
    assert {name: len(urls) for name, urls in found.items()} == {"web": 5, "throttle": 2}
    assert any(jobs_of(settings).jobs != first.jobs for _ in range(9))


def test_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    job_list((), Settings(profile="watch"), tmp_path, warn=print, touch_network=False)
    assert list(tmp_path.iterdir()) == []


def test_a_named_url_is_measured_by_the_experiments_it_is_a_candidate_for() -> None:
    found = experiments_of(jobs_of(Settings(profile="quick"), "telegram.org", "https://x.example/"))
    assert found == {
        "web": ["https://telegram.org/", "https://x.example/"],
        "throttle": ["https://telegram.org/"],
        "connectivity": [""],
    }


def test_a_control_only_fetches_pages() -> None:
    assert set(experiments_of(jobs_of(Settings(role="control")))) == {"web"}


def test_a_list_without_purposes_has_those_that_are_known(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("https://telegram.org/\nhttps://rutracker.org/\nhttps://x.example/\n")
    found = experiments_of(jobs_of(Settings(targets=(str(file),))))
    assert found["throttle"] == ["https://telegram.org/"]
    assert found["mitm"] == ["https://rutracker.org/"]
    assert len(found["web"]) == 3


def test_the_profiles_options_are_beneath_the_configured_ones() -> None:
    made = jobs_of(Settings()).profile
    assert made is not None
    again = {"connectivity": {"again_seconds": 10.0}}
    assert share_options(made.shares, {}) == again
    configured: Options = {"connectivity": {"again_seconds": 5}, "web": {}}
    assert share_options(made.shares, configured) == {"connectivity": {"again_seconds": 5}}


@pytest.mark.parametrize(
    ("experiments", "options", "said"),
    [
        (("connectivity",), {}, "measured again after 300 s"),
        (("connectivity",), {"connectivity": {"again_seconds": 239}}, "it cannot be"),
        (("web",), {"connectivity": {"again_seconds": 5}}, None),
        ((), {}, None),
        ((), {"connectivity": {"again_seconds": 239}}, "with again_seconds = 239 it cannot be"),
        ((), {"connectivity": {"own_server": "192.0.2.1"}}, "with again_seconds = 10 it cannot be"),
        ((), {"connectivity": {"again_seconds": 300}}, "measured again after 300 s"),
    ],
)
def test_a_user_is_told_how_long_an_experiment_takes_or_that_it_cannot_conclude(
    experiments: tuple[str, ...], options: Options, said: str | None
) -> None:
    lines = remarks(Settings(experiments=experiments, options=options))
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]
