"""List what a run would contact, without any traffic: no resolver, no download of a list."""

from collections.abc import Iterator

import click

from probe import reference_data
from probe.config import Settings
from probe.ordering import LIMITS, SERVICE, order
from probe.runner import wiring
from probe.runner.jobs import JobList


def print_contacts(settings: Settings, jobs: JobList) -> None:
    """Print one line for each resolver, collector, anchor, target and endpoint."""
    for line in _contacts(settings, jobs):
        click.echo(line)


def _contacts(settings: Settings, jobs: JobList) -> Iterator[str]:
    """Everything that would be contacted, in the order of a run."""
    yield f"resolver {settings.resolver or 'of this machine'}"
    for resolver in wiring.public_resolvers(settings):
        yield f"resolver {resolver.address} ({resolver.transport})"
    for url in settings.collector:
        yield f"collector {url}"
    if settings.control not in (None, "none") and settings.role == "probe":
        yield f"control {settings.control}"
    for anchor in wiring.anchors(settings):
        yield f"anchor {anchor.url}"
    for job in order(jobs.jobs, settings.seed or 0):
        yield f"target {job.url} ({job.experiment})" if job.url else f"line ({job.experiment})"
        if job.url.startswith(SERVICE):
            yield from _service_endpoints(job.experiment, settings)
    for spec in jobs.unfetched:
        yield f"list {spec} (and every target in it)"
    for name in reference_data.harmless_names():
        yield f"name {name} (only offered, at addresses of targets)"
    if jobs.profile_line is not None:
        yield jobs.profile_line
    if jobs.left_out_line is not None:
        yield jobs.left_out_line
    limits = LIMITS[settings.profile]
    seconds, most = settings.max_time or limits.seconds, settings.max_bytes or limits.bytes
    yield f"limits {seconds:g} seconds, {most} bytes, {settings.concurrency} targets at a time"


def _service_endpoints(name: str, settings: Settings) -> Iterator[str]:
    """What a service's experiment connects to; of configured endpoints only their number."""
    for one in reference_data.endpoints(name):
        ports = ", ".join(map(str, one.ports))
        for host in (*one.names, *one.addresses):
            yield f"endpoint {host} port {ports} ({name}: {one.part})"
    for key, value in settings.options.get(name, {}).items():
        if isinstance(value, list | tuple):
            yield f"endpoint of your own: {len(value)} in [options.{name}] {key}"
