"""`qazprobe targets`: list, check, convert and update target lists."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import click

from probe import link_descriptor, list_table, paths, targets, user_files
from probe.client.kept_lists import CITIZENLAB, FOLDER, kept, url_of
from probe.config import Settings
from probe.errors import UserError
from probe.i18n import _, ngettext
from probe.list_table import ListTable
from probe.runner import list_refresh, target_lists
from probe.targets import Loaded
from probe.translated_help import SummarisedGroup
from probe.urls import TargetError

_SPEC = "NAME|FILE|URL"


@click.group("targets", cls=SummarisedGroup)
def command() -> None:
    """List, check, convert and update target lists.

    Lists of Citizen Lab are named citizenlab:kz, citizenlab:global and so on.
    """


@command.command("list")
@click.argument("name", required=False, metavar=f"[{_SPEC}]")
def list_(name: str | None) -> None:
    """List the available target lists, or the targets of one."""
    state = paths.find().state
    if name is not None:
        for target in _load(name, _settings({}))[0]:
            click.echo(f"{target.url}  {target.category or ''}".rstrip())
        return
    for known in targets.list_names():
        found, _problems = _load(known, _settings({}))
        newer = _(" (updated)") if kept(state, known).exists else ""
        number = _("{number} targets").format(number=len(found))
        click.echo(f"{known:<12} {number}{newer}")
    for other in _downloaded(state):
        click.echo(f"{other:<12} " + _("downloaded"))


@command.command("check")
@click.argument("file", metavar=_SPEC)
def check(file: str) -> None:
    """Report every invalid row of a list; exit 2 if it has no valid target.

    A list that has a URL is fetched for that, and not kept.
    """
    settings = _settings({})
    url = url_of(file, settings.list_mirror)
    found, problems = _load(file, settings) if url is None else _fetched(file, url, settings)
    for problem in problems:
        click.echo(str(problem), err=True)
    if not found:
        raise UserError(_("{file}: no valid target").format(file=file))
    categories = Counter(target.category or _("no category") for target in found)
    counts = ", ".join(f"{count} {name}" for name, count in categories.most_common())
    sizes = (
        ngettext("{number} target", "{number} targets", len(found)).format(number=len(found)),
        ngettext("{number} invalid row", "{number} invalid rows", len(problems)).format(
            number=len(problems)
        ),
    )
    click.echo(f"{file}: {', '.join(sizes)} ({counts})")
    if (line := target_lists.left_out(found, file, settings, paths.find().state).line) is not None:
        click.echo(line)


@command.command("convert")
@click.argument("lists", nargs=-1, required=True, metavar=f"{_SPEC}...")
@click.option("-o", "--output", default="-", metavar="FILE|-", help="The file to write. [stdout]")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "oonirun", "urls"]),
    default="csv",
    help="csv has every column; oonirun is the descriptor of an OONI Run link. [default: csv]",
)
@click.option(
    "--name", metavar="NAME", help="Name of the link, for oonirun.  [default: of the first list]"
)
def convert(lists: tuple[str, ...], *, output: str, format_: str, name: str | None) -> None:
    """Write lists as one, with every column that they have; exit 2 if nothing is left.

    Lists may be Citizen Lab's CSV, TOML, URLs, or descriptors of OONI Run links. Columns and notes
    stay as they are. Of rows about the same address the first stays, and others fill its empty
    cells. Invalid rows are reported and left out.
    """
    found = list_table.merged([_table(one) for one in lists])
    if not found.rows:
        raise UserError(_("{file}: no valid target").format(file=", ".join(lists)))
    title = name or Path(lists[0]).stem
    try:
        user_files.write(output, [_as_format(found, format_, title)])
    except OSError as error:
        reason = _(error.strerror or "")
        raise UserError(f"{output}: {reason}") from error
    count = len(found.rows)
    number = ngettext("{number} target", "{number} targets", count).format(number=count)
    click.echo(f"{output}: {number}", err=True)


def _table(spec: str) -> ListTable:
    """A list that is here with its columns; its invalid rows are reported."""
    settings, state = _settings({}), paths.find().state
    _must_be_here(spec, settings, state)
    try:
        body = target_lists.body_of(spec, settings, state)
        table, problems = list_table.read(body, spec, lab=settings.lab)
    except TargetError as error:
        raise UserError(str(error)) from error
    for problem in problems:
        click.echo(str(problem), err=True)
    return table


def _as_format(table: ListTable, format_: str, name: str) -> bytes:
    if format_ == "csv":
        # As it was read: bytes that are no UTF-8 stay what they are.
        return table.as_csv().encode("utf-8", "surrogateescape")
    if format_ == "oonirun":
        return link_descriptor.written(table.categorised, name)
    return "".join(f"{url}\n" for url, _category in table.categorised).encode()


@command.command("update")
@click.argument("name", default="kz", metavar="NAME|URL")
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
    """Download the newest version of a list; later runs use it.

    Runs look for it themselves, once a day.
    """
    flags = {"collector": (collector,) if collector else None, "lab": lab, "ca_file": ca_file}
    settings, home = _settings(flags), paths.find()
    here = kept(home.state, _checked(name, settings, home.state))
    if bundled:
        if name not in targets.list_names():
            raise UserError(_no_list(name))
        here.remove()
        click.echo(_("{name}: the bundled list is used again").format(name=name))
        return
    if list_refresh.source_of(name, settings) is None:
        raise UserError(_("no collector is configured; add --collector URL"))
    from probe.admin.permit import permitted

    with permitted(settings, home, "targets update"):
        found = list_refresh.refresh(name, settings, home.state)
    if found.targets is None:
        click.echo(_("{name}: already up to date").format(name=name))
    else:
        click.echo(_("{name}: {number} targets").format(name=name, number=found.targets))


def _checked(name: str, settings: Settings, state: Path) -> str:
    """The name of a list that may exist somewhere, or `UserError`."""
    if url_of(name, settings.list_mirror) is not None:
        return name
    # A collector may have lists of its own, which only it knows.
    elsewhere = bool(settings.collector) or kept(state, name).exists
    if targets.is_list_name(name) and (name in targets.list_names() or elsewhere):
        return name
    raise UserError(_no_list(name))


def _no_list(name: str) -> str:
    known = ", ".join((*targets.list_names(), f"{CITIZENLAB}kz", f"{CITIZENLAB}global"))
    message = _("there is no list {name}; there are: {known}, or a URL")
    return message.format(name=ascii(name), known=known)


def _downloaded(state: Path) -> list[str]:
    """The names of kept lists that are not bundled; those of URLs have no name."""
    folder = state / FOLDER
    names = [file.stem for file in folder.glob("*.csv")] if folder.is_dir() else []
    hidden = {*targets.list_names()}
    shown = [name for name in names if name not in hidden and not name.startswith("url-")]
    return sorted(name.replace("citizenlab-", CITIZENLAB) for name in shown)


def _settings(flags: Mapping[str, object]) -> Settings:
    from probe.commands.run import load_settings

    return load_settings(paths.find(), None, dict(flags))


def _load(name: str, settings: Settings) -> Loaded:
    state = paths.find().state
    _must_be_here(name, settings, state)
    try:
        return target_lists.load(name, settings, state)
    except TargetError as error:
        raise UserError(str(error)) from error


def _must_be_here(name: str, settings: Settings, state: Path) -> None:
    if url_of(name, settings.list_mirror) is not None and not kept(state, name).exists:
        message = _("{name}: not downloaded yet: qazprobe targets update {name}")
        raise UserError(message.format(name=name))


def _fetched(name: str, url: str, settings: Settings) -> Loaded:
    """Fetch a list, which is contact and so needs consent."""
    from probe.admin.permit import permitted

    with permitted(settings, paths.find(), "targets check"):
        body = target_lists.download(url, settings)
    try:
        return target_lists.parse_download(body, name, lab=settings.lab)
    except TargetError as error:
        raise UserError(str(error)) from error
