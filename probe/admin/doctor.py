"""Check this machine as a run would find it: what works, what is worth knowing, what to fix.

Rule: no target is contacted and nothing is measured. Only collectors are asked over the network,
because the volunteer configured them. Every problem comes with the command or step that fixes it.
"""

import os
import re
import shutil
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from probe import __version__, host_network
from probe.admin import consent, schedule_checks
from probe.admin.check import Check, CheckState
from probe.client.collector_client import CollectorClient, CollectorError, CollectorUntrusted
from probe.client.endpoint import CollectorEndpoint, addresses
from probe.client.keys import Keys, KeysError
from probe.client.spool import CAP_BYTES, Spool
from probe.escape import plain
from probe.extras import EXTRAS
from probe.i18n import _, ngettext, reason
from probe.system_view import never_fatal, text

# Bytes: a run needs a few megabytes; a spool grows to its cap.
LOW_DISK, NO_DISK = 256 * 1024 * 1024, 32 * 1024 * 1024
# Seconds. Certificates and signatures depend on the clock; a collector tolerates five minutes.
CLOCK_SLACK = 60.0
RESOLVE_SECONDS = 5.0
_CAP_NET_RAW = 13
_EFFECTIVE = re.compile(r"^CapEff:\s*([0-9a-fA-F]{1,16})$", re.MULTILINE)


class Subject(Struct, frozen=True):
    """What is checked: the state folder and the configured collectors."""

    home: Path
    collectors: Sequence[CollectorEndpoint] = ()
    lab: bool = False
    role: str = "probe"


async def examine(subject: Subject) -> list[Check]:
    """Run every check, in the order in which problems should be fixed."""
    clocks: list[float] = []
    found = [
        *_looked("program", _program),
        *_looked("disk", lambda: _storage(subject)),
        *_looked("consent", lambda: _consent(subject)),
        *_looked("schedule", schedule_checks.timer),
        *_looked("metered", schedule_checks.cost),
        *_looked("heartbeat", lambda: _heartbeat(subject)),
        *_looked("network", _network),
    ]
    given = consent.read(subject.home)
    permitted = subject.role == "control" or (given is not None and given.current)
    for one in subject.collectors:
        if permitted:
            found += [check async for check in _collector(subject, one, clocks)]
        else:
            message = _("{collector}: not contacted before you agree").format(collector=one.url)
            found.append(Check("collector", CheckState.NOTE, message, "qazprobe consent"))
    if not subject.collectors:
        message = _("none is configured: records stay on this machine")
        found.append(
            Check(
                "collector",
                CheckState.NOTE,
                message,
                _("set one in qazprobe.toml, or add --collector URL"),
            )
        )
    return [*found, _clock(clocks)]


def _looked(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """The checks of one kind; one note if the system answers with something unexpected."""
    unknown = [Check(name, CheckState.NOTE, _("unknown on this system"))]
    return never_fatal(unknown)(lambda: list(look()))()


def _program() -> Iterator[Check]:
    running = ".".join(map(str, sys.version_info[:3]))
    message = f"qazprobe {__version__}, Python {running}, {host_network.platform()}"
    yield Check("program", CheckState.FINE, message)
    needed = ("httpx", "cryptography", "dnspython", "h11", "h2", "msgspec", "certifi")
    missing = [name for name in needed if _version(name) is None]
    if missing:
        fix = "pip install --force-reinstall qazprobe"
        yield Check(
            "libraries", CheckState.BAD, _("missing: {names}").format(names=", ".join(missing)), fix
        )
    else:
        versions = ", ".join(f"{name} {_version(name)}" for name in needed)
        yield Check("libraries", CheckState.FINE, versions)
    for extra, module in EXTRAS.items():
        if find_spec(module) is None:
            message = _("{module} is not installed: experiments that need it are skipped").format(
                module=module
            )
            yield Check(
                f"extra {extra}",
                CheckState.NOTE,
                message,
                f"pip install 'qazprobe[{extra}]'",
            )
    yield _raw_packets()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _raw_packets() -> Check:
    """Check CAP_NET_RAW: bit 13 of this process's effective set (capabilities(7))."""
    found = _EFFECTIVE.search(text(Path("/proc/self/status")))
    if found is None:
        return Check("raw packets", CheckState.NOTE, _("unknown on this system"))
    if int(found[1], 16) >> _CAP_NET_RAW & 1:
        return Check("raw packets", CheckState.FINE, _("permitted"))
    message = _("not permitted (CAP_NET_RAW): `trace` records no packets, everything else works")
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
    fix = (
        ""
        if state is CheckState.FINE
        else _("free space on the disk of {folder}").format(folder=existing)
    )
    yield Check("disk", state, _("{free} MB free").format(free=free // 1024 // 1024), fix)
    spool = Spool(home)
    waiting = {one.url: spool.waiting(one.url) for one in subject.collectors}
    size = _("{used} kB of {cap} MB").format(
        used=spool.size() // 1024, cap=CAP_BYTES // 1024 // 1024
    )
    if any(waiting.values()):
        number = max(waiting.values())
        message = ngettext(
            "{number} record is waiting ({size})", "{number} records are waiting ({size})", number
        ).format(number=number, size=size)
        yield Check("spool", CheckState.NOTE, message, "qazprobe upload")
    else:
        yield Check(
            "spool", CheckState.FINE, _("no records are waiting ({size})").format(size=size)
        )
    if dropped := spool.last_dropped():
        when = time.strftime("%Y-%m-%d", time.gmtime(dropped.at))
        message = ngettext(
            "{number} record was dropped on {date}: {reason}",
            "{number} records were dropped on {date}: {reason}",
            dropped.records,
        ).format(number=dropped.records, date=when, reason=reason(plain(dropped.reason)))
        yield Check("spool", CheckState.NOTE, message, _("run qazprobe upload more often"))


def _folder(home: Path) -> Check:
    if not home.exists():
        return Check(
            "state folder",
            CheckState.NOTE,
            _("{home} does not exist yet; a run creates it").format(home=home),
        )
    if not home.is_dir():
        return Check(
            "state folder",
            CheckState.BAD,
            _("{home} is not a folder").format(home=home),
            _("remove {home}").format(home=home),
        )
    mode = stat.S_IMODE(home.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        message = _("{home} is readable by other users (mode {mode:o})").format(
            home=home, mode=mode
        )
        return Check("state folder", CheckState.BAD, message, f"chmod 700 '{home}'")
    if not os.access(home, os.W_OK | os.X_OK):
        message = _("{home} is not writable").format(home=home)
        return Check(
            "state folder", CheckState.BAD, message, _("make it writable, or set QAZPROBE_HOME")
        )
    return Check("state folder", CheckState.FINE, str(home))


def _consent(subject: Subject) -> Iterator[Check]:
    if subject.role == "control":
        return
    given = consent.read(subject.home)
    if given is None:
        yield Check(
            "consent", CheckState.BAD, _("not given: nothing is measured"), "qazprobe consent"
        )
    elif not given.current:
        yield Check("consent", CheckState.BAD, _("given for an older text"), "qazprobe consent")
    else:
        yield Check("consent", CheckState.FINE, _("given on {date}").format(date=given.at[:10]))


def _heartbeat(subject: Subject) -> Iterator[Check]:
    has_collector = bool(subject.collectors)
    return schedule_checks.heartbeat(subject.home, role=subject.role, has_collector=has_collector)


def _network() -> Iterator[Check]:
    """Check routes, VPN, proxy and resolver without sending a packet."""
    routes = {
        "IPv4": _route(socket.AF_INET, "192.0.2.1"),
        "IPv6": _route(socket.AF_INET6, "2001:db8::1"),
    }
    known = ", ".join(name for name, exists in routes.items() if exists)
    if known:
        yield Check(
            "route",
            CheckState.FINE,
            known if routes["IPv6"] else _("{known} (no IPv6)").format(known=known),
        )
    else:
        yield Check("route", CheckState.BAD, _("no default route"), _("connect to a network"))
    if host_network.vpn():
        message = _(
            "all traffic goes through a tunnel: a run measures the tunnel's network, not yours"
        )
        yield Check("vpn", CheckState.NOTE, message, _("switch the VPN off while measuring"))
    if host_network.proxy():
        yield Check("proxy", CheckState.NOTE, _("a proxy is configured; measurements never use it"))
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
    lines = text(Path("/etc/resolv.conf")).splitlines()
    if not lines:
        return Check("resolver", CheckState.NOTE, _("unknown on this system"))
    count = sum(1 for line in lines if line.split()[:1] == ["nameserver"])
    if count:
        return Check(
            "resolver", CheckState.FINE, _("{count} in /etc/resolv.conf").format(count=count)
        )
    return Check(
        "resolver", CheckState.BAD, _("none in /etc/resolv.conf"), _("add a nameserver line to it")
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
        fix = _("try from another network; --ca-file is for laboratories only")
        yield Check("collector", CheckState.BAD, str(error), fix)
        return
    except CollectorError as error:
        yield Check(
            "collector",
            CheckState.BAD,
            str(error),
            _("try again later; records are kept until then"),
        )
        return
    if client.clock_offset is not None:
        clocks.append(client.clock_offset)
    if service.lab and not subject.lab:
        yield Check(
            "collector", CheckState.NOTE, _("{url}: is a test laboratory").format(url=endpoint.url)
        )
    yield Check("collector", CheckState.FINE, _("{url}: reached").format(url=endpoint.url))
    yield _enrolled(subject, endpoint, service.enrolment)


async def _name(endpoint: CollectorEndpoint) -> Check:
    if endpoint.name is None:
        message = _("{host}: an address, so no resolver is needed").format(host=endpoint.host)
        return Check("name", CheckState.FINE, message)
    if await addresses(endpoint, limit=RESOLVE_SECONDS):
        return Check("name", CheckState.FINE, _("{name}: resolves").format(name=endpoint.name))
    fix = _("check the resolver; a collector reached before is found by its last address")
    return Check(
        "name", CheckState.BAD, _("{name}: does not resolve").format(name=endpoint.name), fix
    )


def _enrolled(subject: Subject, endpoint: CollectorEndpoint, enrolment: str) -> Check:
    """Check whether that collector knows a key of ours; the check creates none."""
    try:
        known = any(one.collector == endpoint.url for one in Keys(subject.home).enrolments())
    except KeysError as error:
        return Check("key", CheckState.BAD, str(error), _("qazprobe erase, then qazprobe consent"))
    if known:
        return Check("key", CheckState.FINE, _("{url}: knows this probe").format(url=endpoint.url))
    if enrolment == "open":
        return Check(
            "key", CheckState.FINE, _("{url}: accepts new probes").format(url=endpoint.url)
        )
    message = _("{url}: needs an invite ({enrolment})").format(
        url=endpoint.url, enrolment=enrolment
    )
    return Check(
        "key", CheckState.NOTE, message, _("ask its operator for one; qazprobe run --invite TOKEN")
    )


def _clock(offsets: Sequence[float]) -> Check:
    if not offsets:
        return Check("clock", CheckState.NOTE, _("not checked: no collector answered"))
    offset = min(offsets, key=abs)
    if abs(offset) > CLOCK_SLACK:
        seconds = f"{abs(offset):.0f}"
        message = (
            _("{seconds} seconds ahead").format(seconds=seconds)
            if offset > 0
            else _("{seconds} seconds behind").format(seconds=seconds)
        )
        return Check("clock", CheckState.BAD, message, _("set the clock: timedatectl set-ntp true"))
    return Check(
        "clock",
        CheckState.FINE,
        _("within {offset:.0f} s of the collector's").format(offset=max(abs(offset), 1)),
    )
