"""Looking at the system is never fatal, whatever the system shows."""

import ast
import os
import random
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from probe import crash_log, host_network, paths, system_tools, system_view, uuid7
from probe.admin import doctor
from probe.certificates import roots
from probe.client.spool import Spool
from probe.errors import UserError
from probe.heartbeat import clocks
from probe.i18n import language
from probe.net import gateway, interface_counters, resolvers, route
from tests.probe.fake_collector import record

PROBE = Path(paths.__file__).parent
# The kinds of lines that the readers look for, to be cut, repeated and mixed with nonsense.
_LINES = st.sampled_from(
    [
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
        "eth0\t00000000\tZZ\t-1\t0\t0\t\u0661\t00000000\t0\t0\t0",
        "eth0\t00000000\t-1\t0003\t0\t0\t99999999999999999999\t00000000\t0\t0\t0",
        "00000000000000000000000000000000 00 0 00 0 zz 0 0 0 eth0",
        "IP address       HW type     Flags       HW address            Mask     Device",
        "192.168.1.1      0x1         0x2         00:11:22:33:44:55     *        eth0",
        "192.168.1.1      0x1         two         00:11:22:33:44:55     *        eth0",
        "  eth0: 1 2 3 4 5 6 7 8 9",
        "  eth0: \u00b2 x 3 4 5 6 7 8 -",
        "nameserver fe80::1",
        "nameserver fe80::1%eth0",
        "nameserver fe80::1%99999999999999999999",
        "nameserver fe80::1%\u0661",
        "nameserver ::ffff:1.2.3.4%x",
        "nameserver 0.0.0.0",
        "nameserver 255.255.255.255",
        "nameserver ff02::1",
        "resolver #1",
        "  nameserver[0] : fe80::1%nowhere",
        "CapEff:\t00000000000020zz",
        "CapEff:",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END",
    ]
)
_TEXT = st.lists(st.one_of(_LINES, st.text(max_size=60)), max_size=8).map("\n".join)
HOSTILE = st.one_of(
    _TEXT.map(lambda text: text.encode("utf-8", "replace")), st.binary(max_size=300)
)


def _show_resolvers() -> object:
    found = resolvers.system_resolvers()
    assert found
    assert all(resolvers.can_ask(address) for address, _ in found)
    return found


# Every function that looks at the system: its module's files are replaced by hostile ones.
LOOKS: dict[str, Callable[[Path], object]] = {
    "resolvers": lambda _: _show_resolvers(),
    "gateway": host_network.gateway,
    "vpn": lambda _: host_network.vpn(),
    "proxy": lambda _: host_network.proxy(),
    "boot": lambda _: clocks.read(reached=True),
    "counters": lambda _: interface_counters.read(),
    "router": lambda _: gateway.default_gateway(route.read_table(route.ROUTES)),
    "neighbours": lambda _: gateway.neighbours(route.read_table(gateway.NEIGHBOURS)),
    "roots": lambda _: roots.read_machine_store(),
    "raw packets": lambda _: doctor._raw_packets(),
    "resolver check": lambda _: doctor._resolvers(),
}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of its own, whose crash log must stay empty."""
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(system_view, "_logged", set())
    (tmp_path / "state").mkdir()
    yield tmp_path / "state"
    log = tmp_path / "state" / crash_log.FILE
    assert not log.exists(), log.read_text()


def replace_files(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let every view of the system read this path, and let every tool print it."""
    real = system_view.text

    def text(_: Path, limit: int = system_view.LIMIT) -> str:
        return real(path, limit)

    def run(*_: object, **__: object) -> system_tools.ToolAnswer:
        return system_tools.ToolAnswer(0, out=text(path).encode())

    for module in (resolvers, route, clocks, roots, doctor):
        monkeypatch.setattr(module, "text", text)
    monkeypatch.setattr(system_tools, "run", run)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@given(HOSTILE)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_content_is_fatal(look: Callable[[Path], object], state: Path, content: bytes) -> None:
    path = state.parent / "hostile"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        replace_files(patch, path)
        for platform in ("linux", "darwin"):
            patch.setattr(sys, "platform", platform)
            look(state)


def _kinds(folder: Path) -> Iterator[Path]:
    yield folder / "missing"
    (folder / "folder").mkdir()
    yield folder / "folder"
    (folder / "loop").symlink_to("loop")
    yield folder / "loop"
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "fifo")
        yield folder / "fifo"
    (folder / "binary").write_bytes(random.Random(1).randbytes(5000))
    yield folder / "binary"
    (folder / "large").write_bytes(b"nameserver 127.0.0.1\n" * 100_000)
    yield folder / "large"
    yield Path("/dev/zero")
    yield Path("/proc/self/mem")
    yield Path("nul\0byte")


def test_no_kind_of_file_is_fatal(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in _kinds(tmp_path):
        assert len(system_view.text(path)) <= system_view.LIMIT
        with monkeypatch.context() as patch:
            replace_files(patch, path)
            for look in LOOKS.values():
                look(state)


def test_an_exception_that_we_did_not_think_of_is_logged_once(state: Path) -> None:
    @system_view.never_fatal("otherwise")
    def look() -> str:
        raise ZeroDivisionError

    assert (look(), look()) == ("otherwise", "otherwise")
    log = state / crash_log.FILE
    assert log.read_text().count("--- ") == 1
    log.unlink()


def test_only_these_modules_read_the_system() -> None:
    """A module that names a file of the system must look at it through `system_view`."""
    folders = ("/proc", "/etc/", "/run/", "/sys/", "/Library", "/var/")
    named = set()
    for file in PROBE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documented = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        if any(
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(folders)
            and node not in documented
            for node in ast.walk(tree)
        ):
            named.add(file.relative_to(PROBE).as_posix())
    looking = {
        file.relative_to(PROBE).as_posix()
        for file in PROBE.rglob("*.py")
        if "system_view" in file.read_text(encoding="utf-8")
        or "read_table" in file.read_text(encoding="utf-8")
    }
    without = {name for name in named - looking if not name.startswith(("lab/", "rawhelper/"))}
    # A folder's name in an address for D-Bus; names that the user may give for stdout.
    assert without <= {"runner/notify.py", "user_files.py"}, without


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 31])
def test_a_key_that_was_cut_off_is_made_again(state: Path, content: bytes) -> None:
    (state / host_network.SECRET).write_bytes(content)
    assert len(host_network._secret(state)) == 32
    assert host_network._secret(state) == (state / host_network.SECRET).read_bytes()


@pytest.mark.parametrize("now", [-2e9, -1.0, 0.0, 1e9, 1e18])
def test_a_clock_may_be_wrong_by_any_amount(
    state: Path, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    assert len(uuid7.new()) == 36
    assert uuid7.new(now)[:13] <= uuid7.new(1e19)[:13]
    spool = Spool(state, clock=lambda: now)
    with spool.writer(("https://c.example",)) as writer:
        writer.add(record(1))
    assert spool.waiting("https://c.example") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="HOME is POSIX's")
@pytest.mark.parametrize("home", [None, ""])
def test_without_home_the_folders_are_those_of_the_account(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    for name in ("QAZPROBE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    import pwd

    folder = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert paths.find().state.is_relative_to(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="HOME is POSIX's")
@pytest.mark.parametrize("chosen", [None, "~/probe"])
def test_without_home_and_account_the_user_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chosen: str | None
) -> None:
    import pwd

    def unknown(_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.chdir(tmp_path)
    for name in ("QAZPROBE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if chosen:
        monkeypatch.setenv("QAZPROBE_HOME", chosen)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(UserError, match="QAZPROBE_HOME"):
        paths.find()
    assert "could not be saved" in crash_log.save_traceback(ZeroDivisionError())
    assert not (tmp_path / "~").exists()


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_locale_is_fatal(first: str, second: str) -> None:
    environ = {"LANGUAGE": first, "LC_ALL": second, "LANG": f"{first}_{second}.\udcff"}
    assert language(None, environ) in {"kk", "ru", "en"}


def test_the_crash_log_is_private(state: Path) -> None:
    crash_log.save_traceback(ZeroDivisionError())
    log = state / crash_log.FILE
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    log.unlink()
