"""`qazprobe targets`: list, check and update target lists."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import paths, targets
from probe.errors import UserError
from probe.runner.jobs import updated_list
from probe.urls import TargetError

if TYPE_CHECKING:
    from probe.client.endpoint import CollectorEndpoint


@click.group("targets")
def command() -> None:
    """List, check and update target lists."""


@command.command("list")
@click.argument("name", required=False, metavar="[NAME|FILE]")
def list_(name: str | None) -> None:
    """List the available target lists, or the targets of one."""
    if name is None:
        for known in targets.list_names():
            found, _ = _load(known)
            newer = " (updated)" if updated_list(paths.find().state, known).is_file() else ""
            click.echo(f"{known:<12} {len(found)} targets{newer}")
        return
    for target in _load(name)[0]:
        click.echo(f"{target.url}  {target.category or ''}".rstrip())


@command.command("check")
@click.argument("file", metavar="NAME|FILE")
def check(file: str) -> None:
    """Report every invalid row of a list; exit 2 if it has no valid target."""
    found, problems = _load(file)
    for problem in problems:
        click.echo(str(problem), err=True)
    if not found:
        raise UserError(f"{file}: no valid target")
    categories = Counter(target.category or "no category" for target in found)
    counts = ", ".join(f"{count} {name}" for name, count in categories.most_common())
    click.echo(f"{file}: {len(found)} targets, {len(problems)} invalid rows ({counts})")


@command.command("update")
@click.argument("name", default="kz")
@click.option("--collector", metavar="URL", help="Collector to ask.  [default: the configured one]")
@click.option(
    "--lab", is_flag=True, default=None, help="The collector is part of a test laboratory."
)
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--bundled", is_flag=True, help="Return to the list that came with the program.")
def update(
    name: str, *, collector: str | None, lab: bool | None, ca_file: str | None, bundled: bool
) -> None:
    """Download the collector's version of a list; later runs use it."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", name) is None:
        raise UserError(
            f"{name!r} is not a list name: lower-case letters, digits, - and _ expected"
        )
    state = paths.find().ready()
    if bundled:
        updated_list(state, name).unlink(missing_ok=True)
        click.echo(f"{name}: the bundled list is used again")
        return
    from probe.commands.run import load_settings

    flags = {"collector": (collector,) if collector else None, "lab": lab, "ca_file": ca_file}
    settings = load_settings(paths.find(), None, dict(flags))
    if not settings.collector:
        raise UserError("no collector is configured; add --collector URL")
    from probe.client.context import assemble

    click.echo(asyncio.run(_update(name, assemble(settings, state).collectors[0], state)))


async def _update(name: str, collector: "CollectorEndpoint", state: Path) -> str:
    from probe import atomic_files
    from probe.client.collector_client import CollectorClient, CollectorError

    kept, tag = updated_list(state, name), updated_list(state, name).with_suffix(".etag")
    etag = tag.read_text(encoding="ascii") if tag.is_file() and kept.is_file() else None
    try:
        async with CollectorClient(collector) as client:
            reply = await client.targets(name, etag)
    except CollectorError as error:
        raise UserError(str(error)) from error
    if reply.body is None:
        return f"{name}: already up to date"
    found, _ = targets.parse(reply.body.decode("utf-8", "replace"), name)
    if not found:
        raise UserError(f"{collector.url}: its list {name} has no valid target")
    atomic_files.write(kept, reply.body)
    atomic_files.write(tag, (reply.etag or "").encode("ascii", "ignore"))
    return f"{name}: {len(found)} targets"


def _load(name: str) -> targets.Loaded:
    kept = updated_list(paths.find().state, name)
    try:
        if name in targets.list_names() and kept.is_file():
            return targets.load(str(kept))
        return targets.load(name)
    except TargetError as error:
        raise UserError(str(error)) from error
