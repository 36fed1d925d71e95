"""`qazprobe demo`: the whole pipeline against a simulated network on this machine."""

import click


@click.command("demo")
def command() -> int:
    """Run a complete demonstration against a simulated network; contacts no other machine."""
    from probe.lab.demo import demo

    return demo()
