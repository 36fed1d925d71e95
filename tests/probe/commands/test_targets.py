"""`qazprobe targets`: list, check, convert, update."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from probe import consent_record
from probe.client.kept_lists import ListOrigin, kept
from probe.commands.targets import command
from probe.errors import UserError
from tests.probe.fake_collector import FakeCollector, Handler


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(command, words)


def test_bundled_lists_are_listed(home: Path) -> None:
    lines = call("list").output.splitlines()
    assert any(line.startswith("kz ") for line in lines)
    assert "https://" in call("list", "kz").output


def test_a_list_is_checked_row_by_row(home: Path) -> None:
    file = home / "list.txt"
    file.write_text("https://a.example/\nnonsense\n")
    said = call("check", str(file))
    assert "1 target, 1 invalid row (" in said.output
    assert f"{file}:2:" in said.output
    file.write_text("nonsense\n")
    assert isinstance(call("check", str(file)).exception, UserError)
    assert isinstance(call("check", "absent").exception, UserError)


def test_what_categories_leave_out_is_said(home: Path) -> None:
    assert "23 targets are left out by category (22 ANON, 1 LGBT)" in call("check", "kz").output


def test_without_a_collector_nothing_is_updated(home: Path) -> None:
    assert isinstance(call("update").exception, UserError)


def test_a_newer_list_holds_until_the_bundled_one_is_wanted(home: Path) -> None:
    kept(home, "kz").keep(b"https://only.example/\n", ListOrigin())
    assert call("list", "kz").output == "https://only.example/\n"
    assert "(updated)" in call("list").output
    assert call("update", "--bundled").exit_code == 0
    assert len(call("list", "kz").output.splitlines()) > 100
    assert "(updated)" not in call("list").output


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", "citizenlab:../x"])
def test_a_name_is_no_path(home: Path, name: str) -> None:
    said = call("update", name, "--collector", "http://127.0.0.1:9")
    assert isinstance(said.exception, UserError)
    assert not any(home.parent.glob("*.csv"))


@pytest.mark.parametrize("words", [("nosuch",), ("nosuch", "--bundled")])
def test_an_unknown_list_is_an_error_that_lists_what_there_is(
    home: Path, words: tuple[str, ...]
) -> None:
    raised = call("update", *words).exception
    assert isinstance(raised, UserError)
    assert "there is no list 'nosuch'; there are: global, kz, " in str(raised)


async def listed(request: web.Request) -> web.Response:
    if request.query.get("name") != "kz":
        return web.Response(status=404)
    if request.headers.get("If-None-Match") == '"1"':
        return web.Response(status=304)
    return web.Response(text="https://new.example/\n", headers={"ETag": '"1"'})


def from_collector(handler: Handler, *calls: tuple[str, ...]) -> list[Result]:
    async def scenario() -> list[Result]:
        async with FakeCollector(override={"/v1/targets": handler, "/my.csv": handler}) as server:
            flag = ("--collector", server.url)
            return [
                await asyncio.to_thread(
                    call, *(word.replace("SERVER", server.url) for word in words),
                    *(flag if words[0] == "update" else ()),
                )
                for words in calls
            ]  # fmt: skip

    return asyncio.run(scenario())


def test_a_newer_list_comes_from_the_collector_once(home: Path) -> None:
    consent_record.write(home, consent_record.new("en"))
    said = from_collector(listed, ("update", "kz"), ("update", "kz"), ("update", "other"))
    assert [one.output for one in said[:2]] == ["kz: 1 targets\n", "kz: already up to date\n"]
    assert "HTTP status 404" in str(said[2].exception)
    assert call("list", "kz").output == "https://new.example/\n"


def test_an_empty_list_is_not_accepted(home: Path) -> None:
    async def empty(_: web.Request) -> web.Response:
        return web.Response(text="nonsense")

    consent_record.write(home, consent_record.new("en"))
    (said,) = from_collector(empty, ("update", "kz"))
    assert "no valid target" in str(said.exception)


def test_nothing_is_fetched_before_consent(home: Path) -> None:
    asked: list[str] = []

    async def noted(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="https://a.example/\n")

    words = (("update", "kz"), ("check", "SERVER/my.csv"), ("list", "SERVER/my.csv"))
    assert all(isinstance(one.exception, UserError) for one in from_collector(noted, *words))
    assert asked == []


def test_a_list_is_checked_at_its_url_and_not_kept(home: Path) -> None:
    async def other(_: web.Request) -> web.Response:
        return web.Response(text="https://a.example/\nhttp://10.0.0.1/\n")

    consent_record.write(home, consent_record.new("en"))
    (said,) = from_collector(other, ("check", "SERVER/my.csv"))
    assert "1 target, 1 invalid row (" in said.output
    assert "my.csv:2: " in said.output
    assert not (home / "lists").exists()


def test_convert_merges_lists_with_all_their_columns(home: Path) -> None:
    mine, run = home / "mine.csv", home / "run.json"
    mine.write_text("url,category_code,notes,risk\nhttps://a.example/,NEWS,n,high\nftp://b/,,,\n")
    run.write_text(
        '{"nettests":[{"test_name":"web_connectivity","inputs":["https://c.example/"],'
        '"inputs_extra":[{"category_code":"HUMR"}]},{"test_name":"signal"}]}'
    )
    out = home / "out.csv"
    said = call("convert", str(mine), str(run), "-o", str(out))
    assert said.exit_code == 0, said.output
    assert out.read_text() == (
        "url,category_code,category_description,date_added,source,notes,risk\n"
        "https://a.example/,NEWS,,,,n,high\n"
        "https://c.example/,HUMR,,,,,\n"
    )
    assert f"{mine}:3: " in said.stderr
    assert f"{run}:1: signal: has no addresses; it is measured with -e signal" in said.stderr
    assert f"{out}: 2 targets" in said.stderr


def test_convert_writes_a_descriptor_that_is_read_again(home: Path) -> None:
    out = home / "kz.json"
    assert call("convert", "kz", "--format", "oonirun", "-o", str(out)).exit_code == 0
    known = call("list", "kz").output
    assert call("list", str(out)).output == known
    urls = home / "urls.txt"
    assert call("convert", str(out), "--format", "urls", "-o", str(urls)).exit_code == 0
    assert urls.read_text().split() == [line.split()[0] for line in known.splitlines()]


def test_convert_takes_nothing_from_the_network_and_refuses_what_is_no_list(home: Path) -> None:
    page = home / "page.json"
    page.write_text('{"links":[]}')
    for words, reason in [
        (["convert", "citizenlab:kz"], "not downloaded yet"),
        (["convert", str(page)], "no OONI Run descriptor"),
        (["convert", str(home / "none.csv")], "No such file"),
        (["convert", "kz", "-o", str(home / "none" / "x")], "No such file"),
    ]:
        said = call(*words)
        assert isinstance(said.exception, UserError)
        assert reason in str(said.exception)
