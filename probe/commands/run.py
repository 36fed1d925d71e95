"""`qazprobe run`: measure targets and say what the network does to them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import config, paths
from probe.config import ConfigError, Settings
from probe.errors import Exit, UserError
from probe.model import Outcome

if TYPE_CHECKING:
    from probe.client.context import ClientContext
    from probe.paths import Home
    from probe.report.console import Console
    from probe.runner.jobs import JobList

_OUTCOMES = ", ".join(Outcome)


@click.command("run")
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option(
    "--targets", multiple=True, metavar="NAME|FILE|URL", help="A list of targets.  [default: kz]"
)
@click.option(
    "-e", "experiments", multiple=True, metavar="NAME,...", help="What to do.  [default: web]"
)
@click.option(
    "-o", "output", metavar="FILE|-", help="Write records there as JSON lines; FILE is begun anew."
)
@click.option("--collector", multiple=True, metavar="URL", help="Send records there.")
@click.option("--control", metavar="URL|none", help="Ask there what others see, or nowhere.")
@click.option("--invite", metavar="TOKEN", help="Enrols this machine at the collector.")
@click.option("--role", type=click.Choice(["probe", "control"]), help="What this machine is.")
@click.option("--every", metavar="DURATION", help="Repeat after so long: 15m, 2h; 1m at least.")
@click.option("--profile", type=click.Choice(["quick", "full", "watch"]), help="How much to look.")
@click.option("--resolver", metavar="IP[:PORT]", help="Ask this resolver as the system's.")
@click.option("--ca-file", metavar="PEM", help="A laboratory's own roots; needs --lab.")
@click.option("--lab", is_flag=True, default=None, help="All of this is a laboratory.")
@click.option("--concurrency", type=int, metavar="N", help="Targets at one time.  [default: 16]")
@click.option("--max-time", type=float, metavar="S", help="Seconds that the whole may take.")
@click.option("--max-bytes", type=int, metavar="N", help="Bytes that measuring may cost.")
@click.option("--seed", type=int, metavar="N", help="Fixes the order and every random choice.")
@click.option("--dry-run", is_flag=True, help="Say what would be contacted, and contact nothing.")
@click.option("--no-upload", is_flag=True, help="Keep records here; `upload` sends them later.")
@click.option("--quiet", is_flag=True, default=None, help="Say nothing when all is well.")
@click.option("--json", "as_json", is_flag=True, help="A summary of each record on stdout.")
@click.option(
    "--fail-on", metavar="OUTCOME,...", help=f"Exit with 10 when one is found: {_OUTCOMES}."
)
@click.option("--config", "config_file", metavar="FILE", help="Settings from there instead.")
def command(
    urls: tuple[str, ...],
    *,
    output: str | None,
    dry_run: bool,
    no_upload: bool,
    as_json: bool,
    config_file: str | None,
    **flags: object,
) -> Exit:
    """Measure targets and say what the network does to them.

    \b
    qazprobe run                                  the Kazakh list
    qazprobe run https://meduza.io/ -o -          one site, records on stdout
    qazprobe run --targets my.csv --max-time 600  a list of your own, ten minutes at most
    qazprobe run --quiet --fail-on blocked        from cron

    Settings come from qazprobe.toml, then from QAZPROBE_* variables, then from these options.
    """  # noqa: D301 - click's mark for lines that stay as they are
    began = time.monotonic()
    check_stdout(output, as_json=as_json)
    places = paths.find()
    flags["upload"] = False if no_upload else None
    settings = load_settings(places, config_file, flags)
    from probe.report.console import Console
    from probe.runner.jobs import assign, check_options

    console = Console(quiet=settings.quiet, json=as_json, output=output)
    check_options(settings, settings_file(places, config_file))
    found = assign(urls, settings, places.state, warn=console.warn, touch_network=not dry_run)
    made = client_context(settings, places.state)
    if dry_run:
        from probe.runner.dry_run import tell

        tell(settings, found)
        return Exit.DONE
    require_consent(settings, places)
    _cautioned(settings, places, console)
    places.ready()
    return _measure(made, found, console=console, began=began)


def check_stdout(output: str | None, *, as_json: bool) -> None:
    """One stdout has room for one kind of result."""
    if output == "-" and as_json:
        raise UserError("-o - and --json both want stdout; choose one")


def load_settings(places: "Home", config_file: str | None, flags: dict[str, object]) -> Settings:
    """The settings of all three layers, or `UserError`."""
    path = settings_file(places, config_file)
    try:
        return config.merge(
            (
                config.file_layer(path, must_exist=config_file is not None),
                config.environment_layer(),
                config.flag_layer(flags),
            )
        )
    except ConfigError as error:
        raise UserError(str(error)) from error


def settings_file(places: "Home", named: str | None) -> Path:
    """Where settings are read from: the named file, or the usual one."""
    return Path(named) if named else places.config / config.FILE


def require_consent(settings: Settings, places: "Home") -> None:
    """Nothing is measured before a volunteer agreed; an operator's control asks nobody."""
    if settings.role == "control":
        return
    from probe.admin import consent

    given = consent.read(places.state)
    if given is None or not given.current:
        words = consent.words(consent.language(settings.language))
        why = words.missing if given is None else words.outdated.format(date=given.at[:10])
        raise UserError(why)


def client_context(settings: Settings, state: Path) -> "ClientContext":
    """Whom a run talks to, or `UserError`: a collector, a resolver or roots that cannot be used."""
    from probe.client import context
    from probe.runner import wiring

    wiring.resolver_of(settings.resolver)
    return context.assemble(settings, state)


def _cautioned(settings: Settings, places: "Home", console: "Console") -> None:
    """Some experiments are only done when they are named, and their risk is said once."""
    if settings.role == "control":
        return
    from probe.report import risk_notice

    for line in risk_notice.due(settings, places.ready()):
        console.warn(line)


def _measure(made: "ClientContext", found: "JobList", *, console: "Console", began: float) -> Exit:
    import asyncio

    from probe.heartbeat import sender as heartbeat
    from probe.runner import recheck_worker
    from probe.runner.loop import repeat
    from probe.runner.output import Sink
    from probe.signals import Stop, signals

    try:
        sink = Sink.open(console.output)
    except OSError as error:
        raise UserError(f"-o {console.output}: {error.strerror}") from error

    async def go() -> Exit:
        stop = Stop()
        with signals(stop):
            async with (
                heartbeat.heartbeats(made, console.note),
                recheck_worker.answering(made, found, console),
            ):
                return await repeat(made, found, sink, console=console, stop=stop, began=began)

    try:
        return asyncio.run(go())
    finally:
        sink.close()
