"""`qazprobe doctor`: check this machine, its connection and its clock."""

import json

import click

from probe import paths
from probe.commands.run import load_settings

_MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}


@click.command()
@click.option("--collector", multiple=True, metavar="URL", help="Also check this collector.")
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each check.")
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
def command(*, as_json: bool, config_file: str | None, **flags: object) -> int:
    """Check this machine, its connection and its clock. Contacts no target.

    Exit 0 if a run would work, 1 if a problem must be fixed first.
    """
    home = paths.find()
    settings = load_settings(home, config_file, flags)

    import asyncio

    from probe.admin import doctor
    from probe.client import context

    collectors = context.assemble(settings, home.state).collectors
    subject = doctor.Subject(home.state, collectors, settings.lab, settings.role)
    found = asyncio.run(doctor.examine(subject))
    for check in found:
        if as_json:
            fields = {"name": check.name, "state": check.state}
            click.echo(json.dumps(fields | {"said": check.message, "fix": check.fix}))
            continue
        mark, colour = _MARKS[check.state]
        click.echo(f"{click.style(mark, fg=colour)}  {check.name:13} {check.message}")
        if check.fix:
            click.echo(f"{'':19} → {check.fix}")
    return 1 if any(check.state is doctor.CheckState.BAD for check in found) else 0
