"""Check this machine as a run would find it: what works, what is worth knowing, what to fix.

Rule: no target is contacted and nothing is measured. Only collectors are asked over the network,
because the volunteer configured them. Every problem comes with the command or step that fixes it.
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

# Bytes: a run needs a few megabytes; a spool grows to its cap.
LOW_DISK, NO_DISK = 256 * 1024 * 1024, 32 * 1024 * 1024
# Seconds. Certificates and signatures depend on the clock; a collector tolerates five minutes.
CLOCK_SLACK = 60.0
RESOLVE_SECONDS = 5.0
_CAP_NET_RAW = 13


class CheckState(StrEnum):
    """The result of one check."""

    FINE = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, its result, and how to fix the problem."""

    name: str
    state: CheckState
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: the state folder and the configured collectors."""

    home: Path
    collectors: Sequence[CollectorEndpoint] = ()
    lab: bool = False
    role: str = "probe"


async def examine(subject: Subject) -> list[Check]:
    """Run every check, in the order in which problems should be fixed."""
    clocks: list[float] = []
    found = [*_program(), *_storage(subject), *_consent(subject), _timer(), *_heartbeat(subject)]
    found += _network()
    for one in subject.collectors:
        found += [check async for check in _collector(subject, one, clocks)]
    if not subject.collectors:
        message = "none is configured: records stay on this machine"
        found.append(
            Check(
                "collector",
                CheckState.NOTE,
                message,
                "set one in qazprobe.toml, or add --collector URL",
            )
        )
    return [*found, _clock(clocks)]


def _program() -> Iterator[Check]:
    running = ".".join(map(str, sys.version_info[:3]))
    message = f"qazprobe {__version__}, Python {running}, {host_network.platform()}"
    yield Check("program", CheckState.FINE, message)
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
            message = f"{module} is not installed: experiments that need it are skipped"
            yield Check(
                f"extra {extra}", CheckState.NOTE, message, f"pip install 'qazprobe[{extra}]'"
            )
    yield _raw_packets()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _raw_packets() -> Check:
    """Check CAP_NET_RAW: bit 13 of this process's effective set (capabilities(7))."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return Check("raw packets", CheckState.NOTE, "unknown on this system")
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff")), 0)
    if effective >> _CAP_NET_RAW & 1:
        return Check("raw packets", CheckState.FINE, "permitted")
    message = "not permitted (CAP_NET_RAW): `trace` records no packets, everything else works"
    return Check("raw packets", CheckState.NOTE, message)


def _storage(subject: Subject) -> Iterator[Check]:
    """Check the state folder, the disk and the spool."""
    home = subject.home
    existing = home if home.exists() else next(one for one in home.parents if one.exists())
    yield _folder(home)
    free = shutil.disk_usage(existing).free
    state = (
        CheckState.BAD
        if free < NO_DISK
        else CheckState.NOTE
        if free < LOW_DISK
        else CheckState.FINE
    )
    fix = "" if state is CheckState.FINE else f"free space on the disk of {existing}"
    yield Check("disk", state, f"{free // 1024 // 1024} MB free", fix)
    spool = Spool(home)
    waiting = {one.url: spool.waiting(one.url) for one in subject.collectors}
    size = f"{spool.size() // 1024} kB of {CAP_BYTES // 1024 // 1024} MB"
    if any(waiting.values()):
        message = f"{max(waiting.values())} records are waiting ({size})"
        yield Check("spool", CheckState.NOTE, message, "qazprobe upload")
    else:
        yield Check("spool", CheckState.FINE, f"no records are waiting ({size})")
    if dropped := spool.last_dropped():
        when = time.strftime("%Y-%m-%d", time.gmtime(dropped.at))
        message = f"{dropped.records} records were dropped on {when}: {plain(dropped.reason)}"
        yield Check("spool", CheckState.NOTE, message, "run qazprobe upload more often")


def _folder(home: Path) -> Check:
    if not home.exists():
        return Check(
            "state folder", CheckState.NOTE, f"{home} does not exist yet; a run creates it"
        )
    if not home.is_dir():
        return Check("state folder", CheckState.BAD, f"{home} is not a folder", f"remove {home}")
    mode = stat.S_IMODE(home.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        message = f"{home} is readable by other users (mode {mode:o})"
        return Check("state folder", CheckState.BAD, message, f"chmod 700 '{home}'")
    if not os.access(home, os.W_OK | os.X_OK):
        message = f"{home} is not writable"
        return Check(
            "state folder", CheckState.BAD, message, "make it writable, or set QAZPROBE_HOME"
        )
    return Check("state folder", CheckState.FINE, str(home))


def _consent(subject: Subject) -> Iterator[Check]:
    if subject.role == "control":
        return
    given = consent.read(subject.home)
    if given is None:
        yield Check("consent", CheckState.BAD, "not given: nothing is measured", "qazprobe consent")
    elif not given.current:
        yield Check("consent", CheckState.BAD, "given for an older text", "qazprobe consent")
    else:
        yield Check("consent", CheckState.FINE, f"given on {given.at[:10]}")


def _timer() -> Check:
    found = schedule.installed()
    if found:
        message = "; ".join(f"{timer.name}: {plain(status)}" for timer, status in found)
        return Check("schedule", CheckState.FINE, message)
    return Check("schedule", CheckState.NOTE, "no timer is installed", "qazprobe schedule install")


def _heartbeat(subject: Subject) -> Iterator[Check]:
    """Check that an allowed heartbeat has a timer, and that a timer's heartbeat is allowed.

    A control sends its own heartbeats and is not checked.
    """
    if subject.role == "control":
        return
    given, timer = consent.read(subject.home), schedule.heartbeat_installed()
    allowed = given is not None and given.current and given.heartbeat
    install = "qazprobe schedule install"
    if allowed and not timer:
        message = "allowed, but no timer sends it every five minutes"
        yield Check(
            "heartbeat",
            CheckState.NOTE,
            message,
            f"{install}, or keep qazprobe run --every running",
        )
    elif timer and not allowed:
        message = "a timer would send it, but it is not allowed"
        fix = f"qazprobe consent --heartbeat, or {install} --no-heartbeat"
        yield Check("heartbeat", CheckState.NOTE, message, fix)
    elif allowed and not subject.collectors:
        message = "allowed, but no collector is configured to receive it"
        yield Check(
            "heartbeat",
            CheckState.NOTE,
            message,
            "set one in qazprobe.toml, or add --collector URL",
        )
    elif allowed:
        yield Check("heartbeat", CheckState.FINE, "allowed and sent by a timer")


def _network() -> Iterator[Check]:
    """Check routes, VPN, proxy and resolver without sending a packet."""
    routes = {
        "IPv4": _route(socket.AF_INET, "192.0.2.1"),
        "IPv6": _route(socket.AF_INET6, "2001:db8::1"),
    }
    known = ", ".join(name for name, exists in routes.items() if exists)
    if known:
        yield Check("route", CheckState.FINE, f"{known}{'' if routes['IPv6'] else ' (no IPv6)'}")
    else:
        yield Check("route", CheckState.BAD, "no default route", "connect to a network")
    if host_network.vpn():
        message = (
            "all traffic goes through a tunnel: a run measures the tunnel's network, not yours"
        )
        yield Check("vpn", CheckState.NOTE, message, "switch the VPN off while measuring")
    if host_network.proxy():
        yield Check("proxy", CheckState.NOTE, "a proxy is configured; measurements never use it")
    yield _resolvers()


def _route(family: socket.AddressFamily, address: str) -> bool:
    """Return whether a route exists: connecting a UDP socket selects one and sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
    except OSError:
        return False
    return True


def _resolvers() -> Check:
    """Check that the system has a resolver, without reporting its address."""
    try:
        lines = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Check("resolver", CheckState.NOTE, "unknown on this system")
    count = sum(1 for line in lines if line.split()[:1] == ["nameserver"])
    if count:
        return Check("resolver", CheckState.FINE, f"{count} in /etc/resolv.conf")
    return Check(
        "resolver", CheckState.BAD, "none in /etc/resolv.conf", "add a nameserver line to it"
    )


async def _collector(
    subject: Subject, endpoint: CollectorEndpoint, clocks: list[float]
) -> AsyncIterator[Check]:
    """Check one collector: name, trust, enrolment; append its clock offset to `clocks`."""
    yield await _name(endpoint)
    try:
        async with CollectorClient(endpoint) as client:
            service = await client.service()
    except CollectorUntrusted as error:
        fix = "try from another network; --ca-file is for laboratories only"
        yield Check("collector", CheckState.BAD, str(error), fix)
        return
    except CollectorError as error:
        yield Check(
            "collector", CheckState.BAD, str(error), "try again later; records are kept until then"
        )
        return
    if client.clock_offset is not None:
        clocks.append(client.clock_offset)
    if service.lab and not subject.lab:
        yield Check("collector", CheckState.NOTE, f"{endpoint.url}: is a test laboratory")
    yield Check("collector", CheckState.FINE, f"{endpoint.url}: reached")
    yield _enrolled(subject, endpoint, service.enrolment)


async def _name(endpoint: CollectorEndpoint) -> Check:
    if endpoint.name is None:
        message = f"{endpoint.host}: an address, so no resolver is needed"
        return Check("name", CheckState.FINE, message)
    if await addresses(endpoint, limit=RESOLVE_SECONDS):
        return Check("name", CheckState.FINE, f"{endpoint.name}: resolves")
    fix = "check the resolver; a collector reached before is found by its last address"
    return Check("name", CheckState.BAD, f"{endpoint.name}: does not resolve", fix)


def _enrolled(subject: Subject, endpoint: CollectorEndpoint, enrolment: str) -> Check:
    """Check whether that collector knows a key of ours; the check creates none."""
    try:
        known = any(one.collector == endpoint.url for one in Keys(subject.home).enrolments())
    except KeysError as error:
        return Check("key", CheckState.BAD, str(error), "qazprobe erase, then qazprobe consent")
    if known:
        return Check("key", CheckState.FINE, f"{endpoint.url}: knows this probe")
    if enrolment == "open":
        return Check("key", CheckState.FINE, f"{endpoint.url}: accepts new probes")
    message = f"{endpoint.url}: needs an invite ({enrolment})"
    return Check(
        "key", CheckState.NOTE, message, "ask its operator for one; qazprobe run --invite TOKEN"
    )


def _clock(offsets: Sequence[float]) -> Check:
    if not offsets:
        return Check("clock", CheckState.NOTE, "not checked: no collector answered")
    offset = min(offsets, key=abs)
    if abs(offset) > CLOCK_SLACK:
        message = f"{abs(offset):.0f} seconds {'ahead' if offset > 0 else 'behind'}"
        return Check("clock", CheckState.BAD, message, "set the clock: timedatectl set-ntp true")
    return Check("clock", CheckState.FINE, f"within {max(abs(offset), 1):.0f} s of the collector's")
