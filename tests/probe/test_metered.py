"""What a connection costs and what the battery has left, as tools of the system tell it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import battery, metered
from probe.battery import Power
from probe.config import Settings
from probe.metered import LineCost
from tests.probe.admin.fake_tools import tool, user

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tools of Linux")

# A bus on which a program answers for NetworkManager and UPower.
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow eavesdrop="true"/>
</policy></busconfig>
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(battery, "_SUPPLIES", tmp_path / "power_supply")
    return user(tmp_path, monkeypatch)


def answering(metered: int, *, on_battery: bool = False, percent: float = 50.0) -> str:
    """A busctl that answers as the real one."""
    return f"""#!/bin/sh
echo "$@" >> "$HOME/busctl.log"
case "$*" in
*NetworkManager*Metered) echo 'v u {metered}';;
*OnBattery) echo 'v b {str(on_battery).lower()}';;
*Percentage) echo 'v d {percent}';;
*) echo 'Failed to get property: No such property' >&2; exit 1;;
esac
"""


@pytest.mark.parametrize(
    ("number", "expected"), [(0, None), (1, True), (2, False), (3, True), (4, False), (9, None)]
)
def test_what_networkmanager_tells_or_guesses(
    home: Path, *, number: int, expected: bool | None
) -> None:
    tool(home, "busctl", answering(number))
    assert metered.line_cost().metered is expected
    assert (
        "--auto-start=no call org.freedesktop.NetworkManager" in (home / "busctl.log").read_text()
    )


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("busctl", "v u 1"),
        ("gdbus", "(<uint32 1>,)"),
        ("dbus-send", "   variant       uint32 1"),
    ],
)
def test_each_tool_of_the_bus_will_do(home: Path, name: str, answer: str) -> None:
    tool(home, name, f"#!/bin/sh\necho '{answer}'\n")
    assert metered.line_cost() == LineCost(metered=True, source="NetworkManager")


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo 'v u'",
        "echo 'v s \"yes\"'",
        "printf '\\377\\376\\n'",
        "kill -9 $$",
        "echo 'v u 1'; exit 1",
    ],
)
def test_an_answer_that_is_not_understood_is_unknown(home: Path, script: str) -> None:
    for name in ("busctl", "termux-wifi-connectioninfo", "termux-battery-status"):
        tool(home, name, f"#!/bin/sh\n{script}\n")
    assert metered.line_cost() == LineCost()
    assert battery.power() == Power()
    assert metered.obstacle(Settings(unmetered_only=True, min_battery=30)) is None


def test_a_bus_that_hangs_is_unknown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.system_tools._BUS_SECONDS", -0.8)
    # A child that keeps the pipe open is ended too.
    tool(home, "busctl", "#!/bin/sh\nsleep 60 & sleep 60\n")
    assert metered.line_cost() == LineCost()


def test_a_machine_without_any_tool_is_unknown(home: Path) -> None:
    assert metered.line_cost() == LineCost()
    assert battery.power() == Power()


@pytest.mark.parametrize(
    ("wifi", "expected"),
    [('{"supplicant_state": "COMPLETED"}', False), ('{"supplicant_state": "DISCONNECTED"}', True)],
)
def test_on_android_mobile_data_is_metered(home: Path, wifi: str, *, expected: bool) -> None:
    tool(home, "termux-wifi-connectioninfo", f"#!/bin/sh\necho '{wifi}'\n")
    tool(
        home,
        "termux-battery-status",
        """#!/bin/sh
echo '{"health": "GOOD", "percentage": 17, "plugged": "UNPLUGGED", "status": "DISCHARGING"}'
""",
    )
    assert metered.line_cost().metered is expected
    assert battery.power() == Power(on_battery=True, percent=17, source="termux-battery-status")


def test_upower_tells_the_charge(home: Path) -> None:
    tool(home, "busctl", answering(0, on_battery=True, percent=29.6))
    assert battery.power() == Power(on_battery=True, percent=29, source="UPower")
    tool(home, "busctl", answering(0))
    assert battery.power() == Power(on_battery=False, percent=None, source="UPower")


@pytest.mark.parametrize(
    ("status", "mains", "expected"),
    [("Discharging", "0", True), ("Charging", "1", False), ("Full", "1", False)],
)
def test_the_kernel_tells_the_charge_without_upower(
    home: Path, status: str, mains: str, *, expected: bool
) -> None:
    supplies = {
        "AC": {"type": "Mains", "online": mains},
        "BAT0": {"type": "Battery", "status": status, "capacity": "40"},
        "BAT1": {"type": "Battery", "status": "Unknown", "capacity": "20"},
        "mouse": {"type": "Battery", "status": "Discharging", "capacity": "1", "scope": "Device"},
    }
    for name, words in supplies.items():
        (home / "power_supply" / name).mkdir(parents=True)
        for key, word in words.items():
            (home / "power_supply" / name / key).write_text(word + "\n")
    found = battery.power()
    assert (found.on_battery, found.percent) == (expected, 30)


def test_a_run_is_skipped_only_where_that_was_asked(home: Path) -> None:
    tool(home, "busctl", answering(1, on_battery=True, percent=29))
    assert metered.obstacle(Settings()) is None
    said = metered.obstacle(Settings(unmetered_only=True))
    assert said == "skipped: this connection is metered (NetworkManager); nothing was measured"
    sparing = Settings(min_battery=30)
    assert "on battery with 29%, below 30%" in str(metered.obstacle(sparing))
    assert metered.obstacle(replace(sparing, min_battery=29)) is None
    tool(home, "busctl", answering(2, on_battery=False))
    assert metered.obstacle(Settings(unmetered_only=True, min_battery=100)) is None


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A private bus of dbus-daemon."""
    daemon = shutil.which("dbus-daemon", path=os.defpath)
    if daemon is None:
        pytest.skip("dbus-daemon is not installed")
    socket, conf = tmp_path / "bus", tmp_path / "bus.conf"
    conf.write_text(BUS.format(socket=socket))
    with subprocess.Popen(
        [daemon, f"--config-file={conf}", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={socket}")
        yield f"unix:path={socket}"
        running.terminate()


SERVICE = """
import sys
from jeepney import MessageType, message_bus, new_error, new_method_return
from jeepney.io.blocking import open_dbus_connection

bus, metered = sys.argv[1], int(sys.argv[2])
values = {
    ("org.freedesktop.NetworkManager", "Metered"): ("u", metered),
    ("org.freedesktop.UPower", "OnBattery"): ("b", True),
    ("org.freedesktop.UPower.Device", "Percentage"): ("d", 29.0),
}
connection = open_dbus_connection(bus)
for name in ("org.freedesktop.NetworkManager", "org.freedesktop.UPower"):
    connection.send_and_get_reply(message_bus.RequestName(name))
print("ready", flush=True)
while True:
    call = connection.receive()
    if call.header.message_type is MessageType.method_call:
        value = values.get(tuple(call.body))
        error = new_error(call, "org.freedesktop.DBus.Error.UnknownProperty")
        connection.send(error if value is None else new_method_return(call, "v", (value,)))
"""


@pytest.mark.parametrize("name", ["busctl", "gdbus", "dbus-send"])
def test_a_real_bus_is_understood(home: Path, bus: str, name: str) -> None:
    pytest.importorskip("jeepney")
    found = shutil.which(name, path=os.defpath)
    if found is None:
        pytest.skip(f"{name} is not installed")
    (home / "bin" / name).symlink_to(found)
    # Nothing answers yet: unknown.
    assert metered.line_cost() == LineCost()
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, bus, "3"], stdout=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        assert metered.line_cost() == LineCost(metered=True, source="NetworkManager")
        assert battery.power() == Power(on_battery=True, percent=29, source="UPower")
        service.terminate()
