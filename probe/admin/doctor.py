"""Look at this machine as a run would find it: what is fine, what is worth knowing, what to repair.

Rule: no target is contacted and nothing is measured. The only thing asked over the network is a
collector, because the volunteer named it. Every trouble comes with the line that repairs it.
"""

import os
import shutil
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from probe import __version__, host_network
from probe.admin import consent, schedule
from probe.client.collector_client import CollectorClient, CollectorError, CollectorUntrusted
from probe.client.endpoint import CollectorEndpoint, addresses
from probe.client.keys import Keys, KeysError
from probe.client.spool import CAP_BYTES, Spool
from probe.escape import plain
from probe.extras import EXTRAS

# A run needs a few megabytes; a spool grows to its cap.
LOW_DISK, NO_DISK = 256 * 1024 * 1024, 32 * 1024 * 1024
# Certificates and signatures are judged by the clock; a collector takes five minutes.
CLOCK_SLACK = 60.0
LOOK_SECONDS = 5.0
_CAP_NET_RAW = 13
_EXTRAS = {"raw": "scapy", "quic": "aioquic"}


class CheckState(StrEnum):
    """How it stands with one thing."""

    FINE = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, what was found, and how to repair it."""

    name: str
    state: CheckState
    said: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: where things are kept, and which collectors are named."""

    home: Path
    collectors: Sequence[CollectorEndpoint] = ()
    lab: bool = False
    role: str = "probe"


async def examine(subject: Subject) -> list[Check]:
    """Look at everything, in the order in which a person would repair it."""
    clocks: list[float] = []
    found = [*_program(), *_keeping(subject), *_agreement(subject), _timer(), *_beats(subject)]
    found += _line()
    for one in subject.collectors:
        found += [check async for check in _asked(subject, one, clocks)]
    if not subject.collectors:
        said = "none is named: records stay on this machine"
        found.append(
            Check("collector", CheckState.NOTE, said, "qazprobe config, or --collector URL")
        )
    return [*found, _clock(clocks)]


def _program() -> Iterator[Check]:
    running = ".".join(map(str, sys.version_info[:3]))
    said = f"qazprobe {__version__}, Python {running}, {host_network.platform()}"
    yield Check("program", CheckState.FINE, said)
    needed = ("httpx", "cryptography", "dnspython", "h2", "msgspec", "certifi")
    missing = [name for name in needed if _version(name) is None]
    if missing:
        fix = "pip install --force-reinstall qazprobe"
        yield Check("libraries", CheckState.BAD, f"missing: {', '.join(missing)}", fix)
    else:
        versions = ", ".join(f"{name} {_version(name)}" for name in needed)
        yield Check("libraries", CheckState.FINE, versions)
    for extra, module in EXTRAS.items():
        if find_spec(module) is None:
            said = f"{module} is not installed: what needs it is skipped"
            yield Check(f"extra {extra}", CheckState.NOTE, said, f"pip install 'qazprobe[{extra}]'")
    yield _raw_packets()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _raw_packets() -> Check:
    """CAP_NET_RAW of this process, bit 13 of its effective set (capabilities(7))."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return Check("raw packets", CheckState.NOTE, "not known on this system")
    held = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff")), 0)
    if held >> _CAP_NET_RAW & 1:
        return Check("raw packets", CheckState.FINE, "allowed")
    said = "not allowed (CAP_NET_RAW): `trace` is skipped, everything else works"
    return Check("raw packets", CheckState.NOTE, said)


def _keeping(subject: Subject) -> Iterator[Check]:
    """The folder, the disk, the keys, the spool."""
    home = subject.home
    there = home if home.exists() else next(one for one in home.parents if one.exists())
    yield _folder(home)
    free = shutil.disk_usage(there).free
    state = (
        CheckState.BAD
        if free < NO_DISK
        else CheckState.NOTE
        if free < LOW_DISK
        else CheckState.FINE
    )
    fix = "" if state is CheckState.FINE else f"make room on the disk of {there}"
    yield Check("disk", state, f"{free // 1024 // 1024} MB free", fix)
    spool = Spool(home)
    waiting = {one.url: spool.waiting(one.url) for one in subject.collectors}
    size = f"{spool.size() // 1024} kB of {CAP_BYTES // 1024 // 1024} MB"
    if any(waiting.values()):
        said = f"{max(waiting.values())} records wait ({size})"
        yield Check("spool", CheckState.NOTE, said, "qazprobe upload")
    else:
        yield Check("spool", CheckState.FINE, f"nothing waits ({size})")
    if dropped := spool.last_dropped():
        when = time.strftime("%Y-%m-%d", time.gmtime(dropped.at))
        said = f"{dropped.records} records were dropped on {when}: {plain(dropped.reason)}"
        yield Check("spool", CheckState.NOTE, said, "qazprobe upload, more often than that")


def _folder(home: Path) -> Check:
    if not home.exists():
        return Check("state folder", CheckState.NOTE, f"{home} is not there yet; a run makes it")
    if not home.is_dir():
        return Check("state folder", CheckState.BAD, f"{home} is no folder", f"remove {home}")
    mode = stat.S_IMODE(home.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        said = f"{home} can be read by others (mode {mode:o})"
        return Check("state folder", CheckState.BAD, said, f"chmod 700 '{home}'")
    if not os.access(home, os.W_OK | os.X_OK):
        said = f"nothing can be written into {home}"
        return Check("state folder", CheckState.BAD, said, "make it writable, or set QAZPROBE_HOME")
    return Check("state folder", CheckState.FINE, str(home))


def _agreement(subject: Subject) -> Iterator[Check]:
    if subject.role == "control":
        return
    given = consent.read(subject.home)
    if given is None:
        yield Check("consent", CheckState.BAD, "not given: nothing is measured", "qazprobe consent")
    elif not given.current:
        yield Check("consent", CheckState.BAD, "given to an older text", "qazprobe consent")
    else:
        yield Check("consent", CheckState.FINE, f"given on {given.at[:10]}")


def _timer() -> Check:
    found = schedule.installed()
    if found:
        said = "; ".join(f"{timer.name}: {plain(status)}" for timer, status in found)
        return Check("schedule", CheckState.FINE, said)
    return Check("schedule", CheckState.NOTE, "nothing runs by itself", "qazprobe schedule install")


def _beats(subject: Subject) -> Iterator[Check]:
    """Whether the heartbeat that was allowed is sent, and the other way round.

    A run that repeats sends its own, and so does an operator's control: nothing to be said there.
    """
    if subject.role == "control":
        return
    given, timer = consent.read(subject.home), schedule.beats()
    allowed = given is not None and given.current and given.heartbeat
    install = "qazprobe schedule install"
    if allowed and not timer:
        said = "allowed, and no timer sends it every five minutes"
        yield Check("heartbeat", CheckState.NOTE, said, f"{install}, or run --every by itself")
    elif timer and not allowed:
        said = "a timer would send it, and it is not allowed"
        fix = f"qazprobe consent --heartbeat, or {install} --no-heartbeat"
        yield Check("heartbeat", CheckState.NOTE, said, fix)
    elif allowed and not subject.collectors:
        said = "allowed, and no collector is named to hear it"
        yield Check(
            "heartbeat", CheckState.NOTE, said, "name one in qazprobe.toml, or --collector URL"
        )
    elif allowed:
        yield Check("heartbeat", CheckState.FINE, "allowed, and sent by a timer")


def _line() -> Iterator[Check]:
    """What the machine is joined to, without sending a packet."""
    ways = {
        "IPv4": _route(socket.AF_INET, "192.0.2.1"),
        "IPv6": _route(socket.AF_INET6, "2001:db8::1"),
    }
    known = ", ".join(name for name, way in ways.items() if way)
    if known:
        yield Check("route", CheckState.FINE, f"{known}{'' if ways['IPv6'] else ' (no IPv6)'}")
    else:
        yield Check("route", CheckState.BAD, "no way out of this machine", "connect to a network")
    if host_network.vpn():
        said = "everything leaves through a tunnel: this measures the tunnel's network, not yours"
        yield Check("vpn", CheckState.NOTE, said, "switch the VPN off while measuring")
    if host_network.proxy():
        yield Check("proxy", CheckState.NOTE, "a proxy is set; measuring never uses it")
    yield _resolvers()


def _route(family: socket.AddressFamily, address: str) -> bool:
    """Whether the system has a route: connecting a UDP socket chooses one and sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
    except OSError:
        return False
    return True


def _resolvers() -> Check:
    """Whether the system names a resolver; which one is the volunteer's own business."""
    try:
        lines = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Check("resolver", CheckState.NOTE, "not known on this system")
    count = sum(1 for line in lines if line.split()[:1] == ["nameserver"])
    if count:
        return Check("resolver", CheckState.FINE, f"{count} in /etc/resolv.conf")
    return Check("resolver", CheckState.BAD, "none in /etc/resolv.conf", "name one there")


async def _asked(
    subject: Subject, there: CollectorEndpoint, clocks: list[float]
) -> AsyncIterator[Check]:
    """One collector: its name, its trust, whether it takes what we have, whether it knows us."""
    yield await _named(there)
    try:
        async with CollectorClient(there) as client:
            service = await client.service()
    except CollectorUntrusted as error:
        fix = "compare with another network; --ca-file is for laboratories only"
        yield Check("collector", CheckState.BAD, str(error), fix)
        return
    except CollectorError as error:
        yield Check(
            "collector", CheckState.BAD, str(error), "try again later; records wait until then"
        )
        return
    if client.clock_offset is not None:
        clocks.append(client.clock_offset)
    if service.lab and not subject.lab:
        yield Check("collector", CheckState.NOTE, f"{there.url}: is a laboratory's")
    yield Check("collector", CheckState.FINE, f"{there.url}: reached")
    yield _known(subject, there, service.enrolment)


async def _named(there: CollectorEndpoint) -> Check:
    if there.name is None:
        return Check("name", CheckState.FINE, f"{there.host}: an address, so no resolver is needed")
    found = await addresses(there, limit=LOOK_SECONDS)
    if found:
        return Check("name", CheckState.FINE, f"{there.name}: resolves")
    fix = "check the resolver; a collector that was reached before is found without it"
    return Check("name", CheckState.BAD, f"{there.name}: does not resolve", fix)


def _known(subject: Subject, there: CollectorEndpoint, enrolment: str) -> Check:
    """Whether that collector knows a key of ours; none is made for the sake of looking."""
    try:
        known = any(one.collector == there.url for one in Keys(subject.home).enrolments())
    except KeysError as error:
        return Check("key", CheckState.BAD, str(error), "qazprobe erase, then qazprobe consent")
    if known:
        return Check("key", CheckState.FINE, f"{there.url}: knows this probe")
    if enrolment == "open":
        return Check("key", CheckState.FINE, f"{there.url}: takes new probes")
    said = f"{there.url}: needs an invite ({enrolment})"
    return Check(
        "key", CheckState.NOTE, said, "ask its operator for one; qazprobe run --invite TOKEN"
    )


def _clock(offsets: Sequence[float]) -> Check:
    if not offsets:
        return Check("clock", CheckState.NOTE, "nobody to compare it with")
    offset = min(offsets, key=abs)
    if abs(offset) > CLOCK_SLACK:
        said = f"{abs(offset):.0f} seconds {'ahead' if offset > 0 else 'behind'}"
        return Check("clock", CheckState.BAD, said, "set it: timedatectl set-ntp true")
    return Check("clock", CheckState.FINE, f"within {max(abs(offset), 1):.0f} s of the collector's")
