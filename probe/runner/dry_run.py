"""List what a run would contact, without any traffic: no resolver, no download of a list."""

from collections.abc import Iterator

import click

from probe import reference_data
from probe.config import Settings
from probe.i18n import _
from probe.ordering import LIMITS, SERVICE, order
from probe.report import risk_notice
from probe.runner import wiring
from probe.runner.jobs import JobList, remarks


def print_contacts(settings: Settings, jobs: JobList) -> None:
    """Print one line for each resolver, collector, anchor, target and endpoint."""
    for line in _contacts(settings, jobs):
        click.echo(line)


def _contacts(settings: Settings, jobs: JobList) -> Iterator[str]:
    """Everything that would be contacted, in the order of a run."""
    # The first word of a line, which scripts look for, is the same in every language.
    yield f"resolver {settings.resolver or _('of this machine')}"
    for resolver in wiring.public_resolvers(settings):
        yield f"resolver {resolver.address} ({resolver.transport})"
    yield from _collectors(settings)
    yield from (f"anchor {anchor.url}" for anchor in wiring.anchors(settings))
    yield from _targets(settings, jobs)
    for name in reference_data.harmless_names():
        yield f"name {name} {_('(only offered, at addresses of targets)')}"
    yield from (line for line in (jobs.profile_line, jobs.left_out_line) if line is not None)
    yield from remarks(settings)
    yield f"limits {_limits(settings)}"


def _collectors(settings: Settings) -> Iterator[str]:
    """Collectors that results are sent to, and who is asked for control measurements."""
    yield from (f"collector {url}" for url in settings.collector)
    if settings.control not in (None, "none") and settings.role == "probe":
        yield f"control {settings.control}"
    if risk_notice.asks_helper(settings):
        yield f"control {_('(sees the address of this line and each target it is asked about)')}"


def _targets(settings: Settings, jobs: JobList) -> Iterator[str]:
    """Targets in the order of a run, the endpoints of services, and lists still to be fetched."""
    for job in order(jobs.jobs, settings.seed or 0):
        yield f"target {job.url} ({job.experiment})" if job.url else f"line ({job.experiment})"
        if job.url.startswith(SERVICE):
            yield from _service_endpoints(job.experiment, settings)
    for spec in jobs.unfetched:
        yield f"list {spec} {_('(and every target in it)')}"


def _limits(settings: Settings) -> str:
    limits = LIMITS[settings.profile]
    return _("{seconds:g} seconds, {bytes} bytes, {number} targets at a time").format(
        seconds=settings.max_time or limits.seconds,
        bytes=settings.max_bytes or limits.bytes,
        number=settings.concurrency,
    )


def _service_endpoints(name: str, settings: Settings) -> Iterator[str]:
    """What a service's experiment connects to; of configured endpoints only their number."""
    for one in reference_data.endpoints(name):
        ports = ", ".join(map(str, one.ports))
        for host in (*one.names, *one.addresses):
            yield f"endpoint {host} port {ports} ({name}: {one.part})"
    for key, value in settings.options.get(name, {}).items():
        if isinstance(value, list | tuple):
            where = f"[options.{name}] {key}"
            own = _("of your own: {number} in {where}").format(number=len(value), where=where)
            yield f"endpoint {own}"
