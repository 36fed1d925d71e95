"""The crash log has what is in a group of exceptions, and no message of any."""

import asyncio
from pathlib import Path

import pytest

from probe import crash_log, errors
from probe.errors import UserError

ADDRESS = "192.0.2." + str(7)


def fail_in_depth() -> None:
    raise ZeroDivisionError(ADDRESS)


async def _fail() -> None:
    await asyncio.sleep(0)
    fail_in_depth()


async def _in_a_group() -> None:
    async with asyncio.TaskGroup() as outer:
        outer.create_task(_in_an_inner_group())


async def _in_an_inner_group() -> None:
    async with asyncio.TaskGroup() as inner:
        inner.create_task(_fail())


def grouped() -> ExceptionGroup[Exception]:
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(_in_a_group())
    return raised.value


def test_a_group_is_named_by_what_is_in_it() -> None:
    assert crash_log.name(grouped()) == "ZeroDivisionError"
    both = ExceptionGroup("two", [grouped(), OSError(), KeyError(), OSError()])
    assert crash_log.name(both) == "ZeroDivisionError, OSError, KeyError"


def test_the_log_has_the_inner_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    where = crash_log.save_traceback(grouped(), "https://x.test/")
    log = (tmp_path / crash_log.FILE).read_text()
    assert str(tmp_path / crash_log.FILE) in where
    assert "fail_in_depth" in log
    assert "ZeroDivisionError" in log
    assert ADDRESS not in log


def test_causes_and_circles_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    error, other = ValueError(), KeyError()
    error.__cause__, other.__cause__ = other, error
    deep: Exception = error
    for _ in range(500):
        deep = ExceptionGroup("", [deep])
    crash_log.save_traceback(error)
    crash_log.save_traceback(ExceptionGroup("", [deep, ValueError()] * 50))
    log = (tmp_path / crash_log.FILE).read_text()
    assert "KeyError" in log
    assert len(log) < 100_000


def test_a_log_that_cannot_be_written_is_no_second_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path / "file"))
    assert "could not be saved" in crash_log.save_traceback(ZeroDivisionError())


def test_an_error_of_the_user_in_a_group_is_one() -> None:
    with pytest.raises(UserError, match="no such file"), errors.unpacked():
        raise ExceptionGroup("", [ExceptionGroup("", [UserError("no such file")])])
