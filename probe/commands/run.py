"""`qazprobe run`: measure targets and report interference."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from msgspec.structs import replace

from probe import config, i18n, paths
from probe.config import ConfigError, Settings
from probe.errors import Exit, UserError
from probe.i18n import _

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.client.context import ClientContext
    from probe.paths import Home
    from probe.report.console import Console
    from probe.report.risk_notice import Risk
    from probe.runner.jobs import JobList

_OUTCOMES = ", ".join(get_args(config.FailOn))
ACCEPT_RISKS = click.option(
    "--accept-risk",
    "accept_risks",
    is_flag=True,
    help="Accept the risk of trace, tor, openvpn, wireguard or --targets vpn, in a script.",
)


@click.command("run")
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option(
    "--targets",
    multiple=True,
    metavar="NAME|FILE|URL",
    help="Target list; citizenlab:kz too.  [default: kz]",
)
@click.option(
    "--categories",
    multiple=True,
    metavar="CODE,...",
    help="Categories of sites: +LGBT adds one, -NEWS leaves one out, NEWS means only this one.",
)
@click.option(
    "-e",
    "experiments",
    multiple=True,
    metavar="NAME,...",
    help="Experiments, in place of those of the profile.",
)
@click.option(
    "-o",
    "output",
    metavar="FILE|-",
    help="Write records as JSON lines; an existing FILE is replaced at the end of the run.",
)
@click.option(
    "--append", is_flag=True, help="With -o, add to an existing FILE; --every always does."
)
@click.option("--collector", multiple=True, metavar="URL", help="Send records to this collector.")
@click.option(
    "--control",
    metavar="URL|ooni:URL|none",
    help="Collector to ask for control measurements, or a test helper of OONI's, or none.",
)
@click.option("--invite", metavar="TOKEN", help="Token that enrols this machine at the collector.")
@click.option("--role", type=click.Choice(["probe", "control"]), help="Role of this machine.")
@click.option("--every", metavar="DURATION", help="Repeat at this interval: 15m, 2h; at least 1m.")
@click.option(
    "--profile",
    type=click.Choice(["quick", "full", "watch"]),
    help="quick: the most important sites, in two minutes; full: every site, the default; "
    "watch: a few sites and kilobytes, for every hour.",
)
@click.option("--resolver", metavar="IP[:PORT]", help="Use this resolver in place of the system's.")
@click.option(
    "--asn-table",
    metavar="FILE",
    help="Table of address owners in iptoasn format: names the networks of resolver and routers.",
)
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option(
    "--concurrency",
    type=int,
    metavar="N",
    help="Targets measured in parallel; further ones may wait beside them.  [default: 16]",
)
@click.option("--max-time", type=float, metavar="S", help="Time limit of the whole run, seconds.")
@click.option(
    "--max-bytes", type=int, metavar="N", help="Traffic limit of the measurements, bytes."
)
@click.option(
    "--unmetered-only/--metered-too",
    default=None,
    help="Measure nothing on a metered connection; or measure there too.  [default: there too]",
)
@click.option(
    "--min-battery",
    type=int,
    metavar="PERCENT",
    help="Measure nothing on battery below this charge.  [default: 0]",
)
@click.option("--seed", type=int, metavar="N", help="Fix the order and every random choice.")
@click.option("--dry-run", is_flag=True, help="List what would be contacted; contact nothing.")
@ACCEPT_RISKS
@click.option(
    "--no-upload", is_flag=True, help="Keep records in the spool; `upload` sends them later."
)
@click.option("--quiet", is_flag=True, default=None, help="Print problems only.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary of each record as JSON.")
@click.option(
    "--fail-on",
    metavar="OUTCOME,...",
    help=f"Exit 10 if one of these outcomes is found: {_OUTCOMES}.",
)
@click.option(
    "--textfile",
    metavar="PATH",
    help="Write the result for Prometheus (node_exporter's textfile collector).",
)
@click.option(
    "--notify",
    is_flag=False,
    flag_value="desktop",
    metavar="desktop|COMMAND",
    help="Tell what changed since the last run: on the desktop, or to a command on its input.",
)
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
def command(
    urls: tuple[str, ...],
    *,
    output: str | None,
    append: bool,
    accept_risks: bool,
    dry_run: bool,
    no_upload: bool,
    as_json: bool,
    config_file: str | None,
    **flags: object,
) -> Exit:
    """Measure targets and report interference.

    \b
    qazprobe run                                  the Kazakh list
    qazprobe run https://meduza.io/ -o -          one site, records on stdout
    qazprobe run --targets my.csv --max-time 600  a list of yours, ten minutes
    qazprobe run --quiet --fail-on blocked        from cron

    These options override QAZPROBE_* variables, which override qazprobe.toml.
    """  # noqa: D301 - \b tells click to keep these lines
    began = time.monotonic()
    check_stdout(output, as_json=as_json)
    if append and output is None:
        raise UserError(_("--append needs -o FILE"))
    home = paths.find()
    flags["upload"] = False if no_upload else None
    settings = load_settings(home, config_file, flags)
    from probe.report.console import Console
    from probe.runner.jobs import check_arguments, check_options, job_list, refreshed_jobs

    console = Console(quiet=settings.quiet, json=as_json, output=output)
    check_options(settings, settings_file(home, config_file))
    check_arguments(urls, settings)
    context = client_context(settings, home.state)
    find_jobs = partial(job_list, urls, settings, home.state, warn=console.warn)
    if dry_run:
        from probe.runner.dry_run import print_contacts

        print_contacts(settings, find_jobs(touch_network=False))
        return Exit.DONE
    from probe.admin.permit import permitted
    from probe.metered import obstacle
    from probe.report import risk_notice

    require_accepted(risk_notice.of_run(settings), settings, home, accepted=accept_risks)
    if settings.every is None and (reason := obstacle(settings)) is not None:
        console.warn(reason)
        return Exit.DONE
    what = "run" if settings.every is None else "run --every"
    with permitted(settings, home, what) as permission:
        refreshed = partial(refreshed_jobs, urls, settings, home.state, note=console.note)
        jobs = refreshed(warn=console.warn)
        if jobs.profile_line is not None and settings.profile != "full":
            console.note(jobs.profile_line)
        context = replace(context, permission=permission)
        renew = partial(refreshed, warn=lambda _: None)  # it was warned already
        return _measure(context, jobs, renew, console=console, append=append, began=began)


def check_stdout(output: str | None, *, as_json: bool) -> None:
    """Refuse two kinds of output on one stdout."""
    if output == "-" and as_json:
        raise UserError(_("-o - and --json both write to stdout; choose one"))


def load_settings(home: "Home", config_file: str | None, flags: dict[str, object]) -> Settings:
    """Merge the settings of file, environment and options; `UserError` if one is invalid."""
    path = settings_file(home, config_file)
    try:
        settings = config.merge(
            (
                config.file_layer(path, must_exist=config_file is not None),
                config.environment_layer(),
                config.flag_layer(flags),
            )
        )
    except ConfigError as error:
        raise UserError(str(error)) from error
    if settings.language is not None and i18n.current() != settings.language:
        i18n.use(settings.language)  # a file that --config names may have another language
    return settings


def settings_file(home: "Home", named: str | None) -> Path:
    """Return the path of the configuration: the named file, else the default one."""
    return Path(named) if named else home.config / config.FILE


def require_accepted(
    risks: "tuple[Risk, ...]", settings: Settings, home: "Home", *, accepted: bool
) -> None:
    """Raise `UserError` without consent, and unless the volunteer accepts the risks.

    Args:
        accepted: The risks were accepted on the command line.
    """
    from probe.admin.permit import required

    given = required(settings, home)
    if risks and not accepted:
        from probe.admin.question import accept_risks

        accept_risks(risks, settings, home, given)


def client_context(settings: Settings, state: Path) -> "ClientContext":
    """Build the client context; `UserError` for an invalid collector, resolver, roots or table."""
    from probe.client import context
    from probe.runner import networks, wiring

    wiring.parse_resolver(settings.resolver)
    networks.table_of_networks(settings)
    return context.assemble(settings, state)


def _measure(
    context: "ClientContext",
    jobs: "JobList",
    renew: "Callable[[], JobList]",
    *,
    console: "Console",
    append: bool,
    began: float,
) -> Exit:
    import asyncio
    from contextlib import AsyncExitStack

    from probe.runner import jobs as jobs_of
    from probe.runner.loop import repeat
    from probe.runner.output import Sink
    from probe.signals import Stop, signals

    if context.settings.textfile is not None or context.settings.notify:
        from probe.runner import after_run

        after_run.check(context.settings)
    for line in jobs_of.remarks(context.settings):
        console.note(line)
    # A repeated run has no end at which a file could be replaced, so its rounds are appended.
    sink = Sink(console.output, append=append or context.settings.every is not None)

    async def go() -> Exit:
        stop = Stop()
        with signals(stop):
            async with AsyncExitStack() as beside:
                if context.collectors:  # without one, their client need not be in memory
                    from probe.heartbeat import sender
                    from probe.runner import recheck_worker

                    await beside.enter_async_context(sender.heartbeats(context, console.note))
                    rechecks = recheck_worker.recheck_workers(context, jobs, console)
                    await beside.enter_async_context(rechecks)
                return await repeat(
                    context, jobs, sink, console=console, stop=stop, began=began, renew=renew
                )

    try:
        return asyncio.run(context.permission.supervise(go()))
    finally:
        sink.close()
