"""`qazprobe targets`: list, check, update."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from probe.client.endpoint import parse
from probe.commands.targets import _update, command
from probe.errors import UserError
from probe.runner.jobs import updated_list
from tests.probe.fake_collector import FakeCollector


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
    assert "1 targets, 1 invalid rows" in said.output
    assert f"{file}:2:" in said.output
    file.write_text("nonsense\n")
    assert isinstance(call("check", str(file)).exception, UserError)
    assert isinstance(call("check", "absent").exception, UserError)


def test_without_a_collector_nothing_is_updated(home: Path) -> None:
    assert isinstance(call("update").exception, UserError)


def test_a_newer_list_holds_until_the_bundled_one_is_wanted(home: Path) -> None:
    updated_list(home, "kz").parent.mkdir()
    updated_list(home, "kz").write_text("https://only.example/\n")
    assert call("list", "kz").output == "https://only.example/\n"
    assert "(updated)" in call("list").output
    assert call("update", "--bundled").exit_code == 0
    assert len(call("list", "kz").output.splitlines()) > 100


@pytest.mark.parametrize("name", ["..", "../x", "a/b", ""])
def test_a_name_is_no_path(home: Path, name: str) -> None:
    said = call("update", name, "--collector", "http://127.0.0.1:9")
    assert isinstance(said.exception, UserError)
    assert not any(home.parent.glob("*.csv"))


def test_a_newer_list_comes_from_the_collector_once(home: Path) -> None:
    async def listed(request: web.Request) -> web.Response:
        assert request.query["name"] == "kz"
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304)
        return web.Response(text="https://new.example/\n", headers={"ETag": '"1"'})

    async def scenario() -> list[str]:
        async with FakeCollector(override={"/v1/targets": listed}) as collector:
            parsed = parse(collector.url)
            return [await _update("kz", parsed, home) for _ in range(2)]

    assert asyncio.run(scenario()) == ["kz: 1 targets", "kz: already up to date"]
    assert call("list", "kz").output == "https://new.example/\n"


def test_an_empty_list_is_not_accepted(home: Path) -> None:
    async def empty(_: web.Request) -> web.Response:
        return web.Response(text="nonsense")

    async def scenario() -> str:
        async with FakeCollector(override={"/v1/targets": empty}) as collector:
            return await _update("kz", parse(collector.url), home)

    with pytest.raises(UserError, match="no valid target"):
        asyncio.run(scenario())
    assert not updated_list(home, "kz").exists()
