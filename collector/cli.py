"""The command `qazcollector`: its options, checked and explained in one line each.

Rule: results go to stdout, everything else to stderr. Exit 2 is an error that the operator can
mend, and its message says how; any other exception is a bug and shows its traceback.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from collector.admin.commands import COMMANDS, least_probes_option, store_option, with_store
from collector.admin.export_command import EXPORT_COMMANDS
from collector.admin.import_command import IMPORT_COMMANDS
from collector.admin.key_commands import KEY_COMMANDS
from collector.admin.replay_command import EVENT_COMMANDS
from collector.config_file import blame, config_option
from collector.lake.command import lake
from collector.lake.import_command import lake_import
from collector.lake.pull_command import pull
from collector.report.command import report
from collector.settings import (
    LAB_LIMITS,
    CollectorLimits,
    CollectorSettings,
    OoniSettings,
    SettingsError,
    parse_address,
    parse_admin,
    parse_bulk,
    parse_helper,
    parse_proxies,
)
from collector.store import Store, StoreError, keys
from probe import __version__, i18n
from probe.translated_help import SummarisedGroup

BULK_MBIT, BULK_DAILY_MB = 100, 2000
ADMIN = "127.0.0.1:9101"
_EXTRAS = {"aiohttp": "collector", "prometheus_client": "collector", "backports": "collector"}
_EXTRAS |= {
    "asyncpg": "postgres",
    "duckdb": "analytics",
    "pyarrow": "lake",
    "pyspark": "spark",
    "jinja2": "collector",
}


@click.group(
    cls=SummarisedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="qazcollector")
def cli() -> None:
    """Collect measurements from probes, judge them, and serve the results."""


@cli.command()
@config_option
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Address for probes; port 0 takes any free one.",
)
@click.option("--metrics", metavar="HOST:PORT", help="Serve /metrics on this address only.")
@click.option(
    "--admin-listen",
    metavar="HOST:PORT|unix:FILE|none",
    help="Address for metrics and health that no probe can slow down. "
    f"[that of --metrics, or {ADMIN}, or any free port]",
)
@click.option("--bulk", metavar="HOST:PORT", help="Address of the throughput server.")
@click.option(
    "--bulk-rate",
    type=click.FloatRange(0.1),
    metavar="MBIT",
    help="Megabits a second that one client of it may move. [100; lab: any]",
)
@click.option(
    "--bulk-daily",
    type=click.IntRange(1),
    metavar="MB",
    help="Megabytes a day that one client of it may move. [2000; lab: any]",
)
@click.option(
    "--bulk-also",
    multiple=True,
    metavar="ADDRESS:PORT#SHA256",
    help="Announce another collector's throughput server too, in another network.",
)
@store_option
@click.option(
    "--enrolment",
    type=click.Choice(["open", "token", "closed"]),
    default="token",
    show_default=True,
    help="Which probes may enrol: any, those with an invite, or no new ones.",
)
@click.option("--lab", is_flag=True, help="This is a laboratory: accept lab records.")
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path),
    metavar="PEM",
    help="Serve https with this certificate.",
)
@click.option("--tls-key", type=click.Path(path_type=Path), metavar="PEM", help="Its private key.")
@click.option(
    "--targets",
    multiple=True,
    metavar="NAME|FILE",
    help="Targets to show by name. [kz, global]",
)
@click.option(
    "--max-series",
    type=click.IntRange(1),
    metavar="N",
    default=50_000,
    show_default=True,
    help="Limit on the series of the large metric families together.",
)
@click.option(
    "--asn-table",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Networks of addresses: rows of first,last,asn,country, or a file made by asn-table.",
)
@click.option(
    "--quorum", type=click.IntRange(1), metavar="N", help="Probes that must agree. [3; lab: 1]"
)
@least_probes_option(
    "With fewer probes on a network the public sees hours for times, and no ids or evidence.",
    least=1,
)
@click.option(
    "--operator-token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds a token; who bears it sees everything, and the pages below /admin.",
)
@click.option(
    "--proxy", multiple=True, metavar="NETWORK", help="Trust X-Forwarded-For from this network."
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    metavar="N",
    help="Processes that judge; 0: in the serving process, without limits. [1; lab: 0]",
)
@click.option("--ooni", is_flag=True, help="Take measurements of OONI's clients, without a vote.")
@click.option(
    "--ooni-helper", is_flag=True, help="Answer them as a test helper, of listed targets."
)
@click.option("--ooni-url", metavar="URL", help="How they reach this collector. [as they asked]")
@click.option(
    "--ooni-also", multiple=True, metavar="URL", help="Another test helper to tell them of."
)
@click.option("--ooni-originals", is_flag=True, help="Keep what they sent beside the records.")
@click.option(
    "--ooni-daily",
    type=click.IntRange(1),
    metavar="MB",
    default=200,
    show_default=True,
    help="Megabytes a day that their measurements may take in the store.",
)
def serve(**options: Any) -> None:
    """Take measurements and serve the results until stopped."""
    try:
        settings = _settings(**options)
    except SettingsError as error:
        raise blame(click.get_current_context(), error) from error
    from collector.serve import run

    run(settings)


def _settings(
    *,
    listen: str,
    metrics: str | None,
    admin_listen: str | None,
    bulk: str | None,
    bulk_rate: float | None,
    bulk_daily: int | None,
    bulk_also: tuple[str, ...],
    url: str,
    enrolment: Any,
    lab: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    targets: tuple[str, ...],
    max_series: int,
    asn_table: Path | None,
    quorum: int | None,
    public_min_probes: int,
    operator_token_file: Path | None,
    proxy: tuple[str, ...],
    workers: int | None,
    **ooni: Any,
) -> CollectorSettings:
    if tls_key and not tls_cert:
        raise SettingsError("--tls-key without --tls-cert; give both, or one file with both in it")
    return CollectorSettings(
        listen=parse_address(listen),
        metrics=parse_address(metrics) if metrics else None,
        admin=parse_admin(admin_listen or ADMIN),
        admin_free=admin_listen is None,
        bulk=parse_address(bulk) if bulk else None,
        bulk_rate=_scaled(bulk_rate, 1e6 / 8, None if lab else BULK_MBIT),
        bulk_daily=_scaled(bulk_daily, 1_000_000, None if lab else BULK_DAILY_MB),
        bulk_also=tuple(parse_bulk(one) for one in bulk_also),
        store=url,
        enrolment=enrolment,
        lab=lab,
        tls_cert=tls_cert,
        tls_key=tls_key,
        targets=targets,
        max_series=max_series,
        asn_table=asn_table,
        quorum=quorum or (1 if lab else 3),
        public_min_probes=public_min_probes,
        operator_token_file=operator_token_file,
        proxies=parse_proxies(proxy),
        workers=int(not lab) if workers is None else workers,
        ooni=_ooni(**ooni),
        limits=LAB_LIMITS if lab else CollectorLimits(),
    )


def _ooni(
    *,
    ooni: bool,
    ooni_helper: bool,
    ooni_url: str | None,
    ooni_also: tuple[str, ...],
    ooni_originals: bool,
    ooni_daily: int,
) -> OoniSettings:
    return OoniSettings(
        clients=ooni,
        helper=ooni_helper,
        url=parse_helper(ooni_url) if ooni_url else "",
        also=tuple(map(parse_helper, ooni_also)),
        originals=ooni_originals,
        daily_bytes=ooni_daily * 1_000_000,
    )


def _scaled(given: float | None, unit: float, default: float | None) -> int | None:
    number = default if given is None else given
    return None if number is None else int(number * unit)


@cli.command()
@store_option
@click.option(
    "--role",
    type=click.Choice(["probe", "control"]),
    default="probe",
    show_default=True,
    help="Role of the keys that enrol with it.",
)
@click.option(
    "--uses",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of keys that may enrol with it.",
)
@click.option(
    "--expires",
    type=click.IntRange(1, 3650),
    metavar="DAYS",
    default=30,
    show_default=True,
    help="Days until it can no longer be used.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of invites; give each person one.",
)
def enroll(url: str, role: keys.KeyRole, uses: int, expires: int, count: int) -> None:
    """Make invites and print them, one a line."""
    invites = [keys.new_invite() for _ in range(count)]
    now = time.time()

    async def work(store: Store) -> None:
        expires_at = now + expires * 86400
        for invite in invites:
            made = keys.add_invite(invite, role, uses=uses, at=now, expires_at=expires_at)
            await store.write(made)

    with_store(url, work, create=True)
    for invite in invites:
        click.echo(invite)
        click.echo(f"qazcollector: its keys are the branch {keys.branch_of(invite)}", err=True)


for _command in (
    *COMMANDS,
    *IMPORT_COMMANDS,
    *EXPORT_COMMANDS,
    report,
    lake,
    pull,
    *EVENT_COMMANDS,
    *KEY_COMMANDS,
):
    cli.add_command(_command)
lake.add_command(lake_import)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; an error that the operator can mend is one line and exit 2."""
    i18n.use("en")  # what a collector answers and logs does not depend on its operator's language
    try:
        cli(args=args, prog_name="qazcollector")
    except (SettingsError, StoreError) as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(f"{error.name} is not installed; install it with: pip install 'qazprobe[{extra}]'")


def _fail(line: str) -> None:
    click.echo(f"qazcollector: {line}", err=True)
    sys.exit(2)
