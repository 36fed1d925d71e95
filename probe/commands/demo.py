"""`qazprobe demo`: everything, in a simulated country on this machine."""

import click


@click.command("demo")
def command() -> int:
    """Show everything in a simulated country on this machine; contacts nobody outside it."""
    from probe.lab.demo import demo

    return demo()
