"""The whole line on this machine in under a minute: a country, a collector, a control, a probe.

Nothing leaves the machine. Everything that is started is ended; what stays is one file of records.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from probe.lab import commands
from probe.lab.catalogue import catalogue
from probe.lab.harness import Ground, Harness, records
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.testbed import NetnsTestbed, obstacle

_SHOWN = (
    "innocent.fine",
    "innocent.fine_http",
    "dns.nxdomain",
    "dns.bogon",
    "dns.injected_first",
    "tcp.drop",
    "tls.drop_hello",
    "tls.reset",
    "tls.fin",
    "tls.behind_http",
    "http.page_200",
    "http.one_path",
    "mitm.2021",
    "innocent.expired",
    "innocent.name_nxdomain",
    "innocent.legal_here",
    "innocent.redirect_301",
)
_FAMILIES = ("qazprobe_target_outcome", "qazprobe_target_mechanism", "qazprobe_tls_interception")
_MOST_LINES = 40
_RECORDS = Path("qazprobe-demo.jsonl")


def demo(output: Path = _RECORDS, *, force_street: bool = False) -> int:
    """Show the main job without any internet.

    Returns:
        An exit code: 0 when the line ran to its end and nobody was falsely accused.
    """
    began = time.monotonic()
    with _ground(force_street=force_street) as ground:
        ready = Harness(ground)
        urls = ground.urls()
        _say(f"{len(urls)} targets, a censor, a collector with its embedded store")
        ready.start_collector(urls)
        _say("a control looks at every target from an open network")
        ready.start_control(urls)
        ready.consent()
        _say("a volunteer's probe looks from behind the censor")
        argv = ready.probe_argv(urls, output.absolute())
        code = subprocess.run(
            ground.wrap("client", argv),
            stdout=subprocess.DEVNULL,  # its own table; ours also says what would have been right
            env=commands.environment(ready.probe_env()),
            check=False,
        ).returncode
        if code:
            _say(f"the probe exited with {code}")
        accused = _show(ground, list(records(output)))
        _say(f"records: {output.absolute()}")
        _say("what Prometheus scrapes from the collector:")
        _show_metrics(ready.metrics())
    _say(f"done in {time.monotonic() - began:.0f} s; everything that was started has been ended")
    return 1 if accused or code else 0


def _say(text: str) -> None:
    click.secho(f"» {text}", bold=True)


@contextmanager
def _ground(*, force_street: bool) -> Iterator[Ground]:
    """A country if this machine allows one, else the street; says which."""
    shown = [each for each in catalogue() if each.name in _SHOWN]
    reason = "it was asked for" if force_street else obstacle()
    if reason is None:
        _say("a simulated country in network namespaces of this machine; nothing leaves it")
        with NetnsTestbed(shown) as country:
            yield country
        return
    _say(f"a street of rude servers on loopback, for there can be no country here: {reason}")
    with LoopbackTestbed(each for each in catalogue() if each.street) as street:
        yield street


def _show(ground: Ground, found: Sequence[Mapping[str, object]]) -> int:
    """A table of what was found; returns how many were falsely accused."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    table = Table("outcome, mechanism", "sure", "right", "target, and why", box=box.SIMPLE_HEAD)
    right = accused = 0
    for record in found:
        verdict, url = record.get("verdict"), str(record.get("input"))
        if not isinstance(verdict, dict) or url not in ground.urls():
            continue
        mechanisms = tuple(verdict.get("mechanisms", ()))
        is_right = ground.expect(url).accepts(verdict["outcome"], mechanisms)
        right += is_right
        accused += ground.expect(url).accuses_falsely(verdict["outcome"])
        what = "\n".join([f"[bold]{verdict['outcome']}[/]", *mechanisms])
        reasons = [str(rule.get("reason", "")) for rule in verdict.get("rules", ())]
        sure = f"{verdict.get('confidence', 0.0):.0%}"
        why = "\n".join([f"[bold]{url}[/]", *reasons[:1]])
        table.add_row(what, sure, "yes" if is_right else "no", why)
    console.print(table)
    _say(f"{right} of {table.row_count} verdicts are what they should be")
    return accused


def _show_metrics(text: str) -> None:
    """The lines that tell of targets, those that say something."""
    lines = [line for line in text.splitlines() if line.startswith(_FAMILIES)]
    telling = [line for line in lines if not line.endswith((" 0", " 0.0"))]
    for line in telling[:_MOST_LINES]:
        click.echo(f"  {line}")
    if len(telling) > _MOST_LINES:
        click.echo(f"  … and {len(telling) - _MOST_LINES} more")
