"""`qazprobe targets`: list, check and update target lists."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import paths, targets
from probe.errors import UserError
from probe.runner.jobs import updated
from probe.urls import TargetError

if TYPE_CHECKING:
    from probe.client.endpoint import CollectorEndpoint


@click.group("targets")
def command() -> None:
    """List, check and update target lists."""


@command.command("list")
@click.argument("name", required=False, metavar="[NAME|FILE]")
def list_(name: str | None) -> None:
    """The lists there are, or the targets of one."""
    if name is None:
        for known in targets.list_names():
            found, _ = _load(known)
            newer = " (updated)" if updated(paths.find().state, known).is_file() else ""
            click.echo(f"{known:<12} {len(found)} targets{newer}")
        return
    for target in _load(name)[0]:
        click.echo(f"{target.url}  {target.category or ''}".rstrip())


@command.command("check")
@click.argument("file", metavar="NAME|FILE")
def check(file: str) -> None:
    """Name every row of a list that cannot be used; exit 2 when nothing in it can."""
    found, problems = _load(file)
    for problem in problems:
        click.echo(str(problem), err=True)
    if not found:
        raise UserError(f"{file}: nothing in it can be measured")
    categories = Counter(target.category or "no category" for target in found)
    said = ", ".join(f"{count} {name}" for name, count in categories.most_common())
    click.echo(f"{file}: {len(found)} targets, {len(problems)} bad rows ({said})")


@command.command("update")
@click.argument("name", default="kz")
@click.option("--collector", metavar="URL", help="Ask this one; else the configured one.")
@click.option("--lab", is_flag=True, default=None, help="The collector is in a laboratory.")
@click.option("--ca-file", metavar="PEM", help="A laboratory's own roots; needs --lab.")
@click.option("--bundled", is_flag=True, help="Go back to the list that came with the program.")
def update(
    name: str, *, collector: str | None, lab: bool | None, ca_file: str | None, bundled: bool
) -> None:
    """Take a newer version of a list from the collector; runs use it from then on."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", name) is None:
        raise UserError(f"{name!r} is no name of a list: small letters, digits, - and _ expected")
    state = paths.find().ready()
    if bundled:
        updated(state, name).unlink(missing_ok=True)
        click.echo(f"{name}: as bundled")
        return
    from probe.commands.run import load_settings

    flags = {"collector": (collector,) if collector else None, "lab": lab, "ca_file": ca_file}
    settings = load_settings(paths.find(), None, dict(flags))
    if not settings.collector:
        raise UserError("no collector is configured; name one: --collector URL")
    from probe.client.context import assemble

    click.echo(asyncio.run(_update(name, assemble(settings, state).collectors[0], state)))


async def _update(name: str, place: "CollectorEndpoint", state: Path) -> str:
    from probe import atomic_files
    from probe.client.collector_client import CollectorClient, CollectorError

    kept, tag = updated(state, name), updated(state, name).with_suffix(".etag")
    etag = tag.read_text(encoding="ascii") if tag.is_file() and kept.is_file() else None
    try:
        async with CollectorClient(place) as client:
            reply = await client.targets(name, etag)
    except CollectorError as error:
        raise UserError(str(error)) from error
    if reply.body is None:
        return f"{name}: nothing newer"
    found, _ = targets.parse(reply.body.decode("utf-8", "replace"), name)
    if not found:
        raise UserError(f"{place.url}: its list {name} has nothing that can be measured")
    atomic_files.write(kept, reply.body)
    atomic_files.write(tag, (reply.etag or "").encode("ascii", "ignore"))
    return f"{name}: {len(found)} targets"


def _load(name: str) -> targets.Loaded:
    kept = updated(paths.find().state, name)
    try:
        if name in targets.list_names() and kept.is_file():
            return targets.load(str(kept))
        return targets.load(name)
    except TargetError as error:
        raise UserError(str(error)) from error
