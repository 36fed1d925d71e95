"""`qazprobe doctor`: check this machine, its connection and its clock."""

import json

import click

from probe import i18n, paths
from probe.commands.run import load_settings
from probe.i18n import N_, _

_MARKS = {"ok": (N_("OK"), "green"), "note": (N_("note"), "yellow"), "bad": (N_("BAD"), "red")}
# What a check is about; scripts get the English name.
_NAMES = (
    *(N_("program"), N_("libraries"), N_("raw packets"), N_("state folder"), N_("disk")),
    *(N_("spool"), N_("consent"), N_("schedule"), N_("heartbeat"), N_("route"), N_("vpn")),
    *(N_("proxy"), N_("resolver"), N_("collector"), N_("name"), N_("key"), N_("clock")),
    *(N_("extra raw"), N_("extra quic"), N_("metered"), N_("battery")),
)


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
    from probe.admin.check import CheckState
    from probe.client import context

    collectors = context.assemble(settings, home.state).collectors
    subject = doctor.Subject(home.state, collectors, settings.lab, settings.role)
    if as_json:
        i18n.use("en")
    found = asyncio.run(doctor.examine(subject))
    first = max(len(_(mark)) for mark, colour in _MARKS.values())
    second = max(13, *(len(_(check.name)) for check in found))
    for check in found:
        if as_json:
            fields = {"name": check.name, "state": check.state}
            click.echo(json.dumps(fields | {"said": check.message, "fix": check.fix}))
            continue
        mark, colour = _MARKS[check.state]
        shown = click.style(_(mark).ljust(first), fg=colour)
        click.echo(f"{shown}  {_(check.name):{second}} {check.message}")
        if check.fix:
            click.echo(f"{'':{first + second + 2}} → {check.fix}")
    return 1 if any(check.state is CheckState.BAD for check in found) else 0
