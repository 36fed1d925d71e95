"""`qazprobe doctor`: check this machine, its line and its clock."""

import json
from dataclasses import asdict

import click

from probe import paths
from probe.commands.run import load_settings

_MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}


@click.command()
@click.option("--collector", multiple=True, metavar="URL", help="Also look at this collector.")
@click.option("--ca-file", metavar="PEM", help="A laboratory's own roots; needs --lab.")
@click.option("--lab", is_flag=True, default=None, help="All of this is a laboratory.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each check.")
@click.option("--config", "config_file", metavar="FILE", help="Settings from there instead.")
def command(*, as_json: bool, config_file: str | None, **flags: object) -> int:
    """Check this machine, its line and its clock; measures nothing, contacts no target.

    Exit 0 when a run would work, 1 when something must be repaired first.
    """
    places = paths.find()
    settings = load_settings(places, config_file, flags)

    import asyncio

    from probe.admin import doctor
    from probe.client import context

    collectors = context.assemble(settings, places.state).collectors
    subject = doctor.Subject(places.state, collectors, settings.lab, settings.role)
    found = asyncio.run(doctor.examine(subject))
    for check in found:
        if as_json:
            click.echo(json.dumps(asdict(check)))
            continue
        mark, colour = _MARKS[check.state]
        click.echo(f"{click.style(mark, fg=colour)}  {check.name:13} {check.said}")
        if check.fix:
            click.echo(f"{'':19} → {check.fix}")
    return 1 if any(check.state is doctor.CheckState.BAD for check in found) else 0
