"""`qazprobe config`: show, check and begin a configuration."""

import os
from pathlib import Path

import click
import msgspec

from probe import config, paths
from probe.config import ConfigError, Settings
from probe.errors import UserError


@click.group("config")
def command() -> None:
    """Show, check and begin a configuration.

    A file, then variables, then options: the later one holds.
    """


@command.command("show")
def show() -> None:
    """Every setting that is not at its default, from file and variables together."""
    settings, default = _settled(_path(None)), Settings()
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if value == getattr(default, field.name):
            continue
        shown = "(not shown)" if field.name == "invite" else msgspec.json.encode(value).decode()
        click.echo(f"{field.name} = {shown}")


@command.command("path")
def path() -> None:
    """Where the file is looked for, and where everything else is kept."""
    places = paths.find()
    click.echo(f"configuration  {_path(None)}")
    click.echo(f"state          {places.state}")


@command.command("init")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def init(*, force: bool) -> None:
    """Write a file with every setting, all commented out."""
    file = _path(None)
    if file.exists() and not force:
        raise UserError(f"{file} is there already; --force replaces it")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(config.template())
    click.echo(str(file))


@command.command("check")
@click.argument("file", required=False, metavar="[FILE]")
def check(file: str | None) -> None:
    """Say whether the configuration would be accepted; exit 2 and the reason when not."""
    from probe.runner.jobs import check_options

    found = _path(file)
    check_options(_settled(found, must_exist=file is not None), found)
    click.echo(f"{found}: {'fine' if found.exists() else 'not there; defaults hold'}")


def _path(file: str | None) -> Path:
    return Path(file) if file else paths.find().config / config.FILE


def _settled(file: Path, *, must_exist: bool = False) -> Settings:
    try:
        layers = (config.file_layer(file, must_exist=must_exist), config.environment_layer())
        return config.merge(layers)
    except ConfigError as error:
        raise UserError(str(error)) from error
