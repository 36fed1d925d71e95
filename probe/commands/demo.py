"""`qazprobe demo`: the whole pipeline against a simulated network on this machine."""

import sys

import click

from probe.errors import UserError
from probe.i18n import _


@click.command("demo")
def command() -> int:
    """Run a complete demonstration against a simulated network; contacts no other machine."""
    if sys.platform == "win32":
        raise UserError(_("the demonstration does not run on Windows"))
    from probe.lab.demo import demo

    return demo()
