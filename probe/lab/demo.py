"""The whole pipeline on this machine in under a minute: testbed, collector, control, probe.

Nothing leaves the machine. All processes are ended; one file of records remains.
"""

import shutil
import subprocess
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from probe.errors import UserError
from probe.i18n import _, reason
from probe.lab import commands
from probe.lab.catalogue import catalogue
from probe.lab.harness import Harness, LabTestbed, records
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.testbed import NetnsTestbed, unavailable_reason

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
_MAX_LINES = 40
_WIDTH, _INDENT = 100, " " * 9
_RECORDS = Path("qazprobe-demo.jsonl")


def demo(output: Path = _RECORDS, *, force_loopback: bool = False) -> int:
    """Run the demonstration and print its results.

    Returns:
        An exit code: 0 if the probe succeeded and there was no false positive.
    """
    _check_for_the_collector()
    began = time.monotonic()
    with _testbed(force_loopback=force_loopback) as testbed:
        harness = Harness(testbed)
        urls = testbed.urls()
        _say(
            _("{number} targets, a censor, a collector with its embedded store").format(
                number=len(urls)
            )
        )
        harness.start_collector(urls)
        _say(_("a control measures every target from an uncensored network"))
        harness.start_control(urls)
        harness.consent()
        _say(_("a probe measures every target from behind the censor"))
        argv = harness.probe_argv(urls, output.absolute())
        code = subprocess.run(
            testbed.wrap("client", argv),
            stdout=subprocess.DEVNULL,  # what is printed below also has the right verdicts
            env=commands.environment(harness.probe_env()),
            check=False,
        ).returncode
        if code:
            _say(_("the probe exited with {code}").format(code=code))
        false_positives = _show(testbed, list(records(output)))
        _say(_("records: {file}").format(file=output.absolute()))
        _say(_("the collector's metrics:"))
        _show_metrics(harness.metrics())
    _say(
        _("done in {seconds:.0f} s; all processes have been ended").format(
            seconds=time.monotonic() - began
        )
    )
    _say(_("next, on your own network: {command}").format(command="qazprobe consent"))
    return 1 if false_positives or code else 0


def _check_for_the_collector() -> None:
    if find_spec("aiohttp") is None or find_spec("collector") is None:
        raise UserError(
            _("the demonstration needs the collector: install {package}").format(
                package="'qazprobe[collector]'"
            )
        )


def _say(text: str) -> None:
    click.secho(f"» {text}", bold=True)


@contextmanager
def _testbed(*, force_loopback: bool) -> Iterator[LabTestbed]:
    """A testbed in namespaces if possible, else on loopback; prints which."""
    shown = [each for each in catalogue() if each.name in _SHOWN]
    obstacle = _("requested") if force_loopback else unavailable_reason()
    if obstacle is None:
        _say(_("a simulated network in namespaces of this machine; nothing leaves it"))
        with NetnsTestbed(shown) as testbed:
            yield testbed
        return
    _say(
        _("a simulated network on loopback; no network namespaces: {reason}").format(
            reason=obstacle
        )
    )
    with LoopbackTestbed(each for each in catalogue() if each.loopback) as loopback:
        yield loopback


def _show(testbed: LabTestbed, found: Sequence[Mapping[str, object]]) -> int:
    """Print the verdicts, each beside the right one; return the number of false positives."""
    shown = right = false_positives = 0
    for record in found:
        verdict, url = record.get("verdict"), str(record.get("input"))
        if not isinstance(verdict, dict) or url not in testbed.urls():
            continue
        mechanisms = tuple(verdict.get("mechanisms", ()))
        is_right = testbed.expect(url).accepts(verdict["outcome"], mechanisms)
        shown += 1
        right += is_right
        false_positives += testbed.expect(url).is_false_positive(verdict["outcome"])
        _show_verdict(url, verdict, is_right=is_right)
    _say(_("{right} of {shown} verdicts are right").format(right=right, shown=shown))
    return false_positives


def _show_verdict(url: str, verdict: Mapping[str, Any], *, is_right: bool) -> None:
    """Print one verdict: what it is, how sure, whether it is right, and its first reason."""
    what = ", ".join((_(verdict["outcome"]), *verdict.get("mechanisms", ())))
    confidence = f"{verdict.get('confidence', 0.0):.0%}"
    click.secho(f"\n  {_('right') if is_right else _('WRONG')}  {url}", bold=True)
    reasons = [reason(str(rule.get("reason", ""))) for rule in verdict.get("rules", ())]
    for text in (f"{what}, {confidence}", *reasons[:1]):
        width = min(shutil.get_terminal_size().columns, _WIDTH)
        click.echo(textwrap.fill(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT))


def _show_metrics(text: str) -> None:
    """Print the non-zero series about targets."""
    lines = [line for line in text.splitlines() if line.startswith(_FAMILIES)]
    nonzero = [line for line in lines if not line.endswith((" 0", " 0.0"))]
    for line in nonzero[:_MAX_LINES]:
        click.echo(f"  {line}")
    if len(nonzero) > _MAX_LINES:
        more = len(nonzero) - _MAX_LINES
        click.echo("  " + _("… and {number} more").format(number=more))
